#pragma once

#include <cstdint>

namespace tandem::nn {

/// A matrix as the tensor library takes it: row-major, rows `ld` floats apart; `transposed` reads
/// it the other way round.
struct MatrixView {
  const float* data;
  int64_t rows, cols;  ///< As stored.
  int64_t ld;
  bool transposed = false;
};

/// c = op(a) op(b), by the tensor library's matrix product: for products that are large in all
/// three sizes. c: row-major, rows `ldc` floats apart. Throws what LibTorch throws.
void MatMul(const MatrixView& a, const MatrixView& b, float* c, int64_t ldc);

}  // namespace tandem::nn
