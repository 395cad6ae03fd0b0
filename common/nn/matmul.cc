#include "common/nn/matmul.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <c10/core/InferenceMode.h>

namespace tandem::nn {
namespace {

at::Tensor Wrap(const float* data, int64_t rows, int64_t cols, int64_t ld) {
  return at::from_blob(const_cast<float*>(data), {rows, cols}, {ld, 1},
                       at::TensorOptions(at::kFloat));
}

at::Tensor Wrap(const MatrixView& m) {
  const at::Tensor tensor = Wrap(m.data, m.rows, m.cols, m.ld);
  return m.transposed ? tensor.t() : tensor;
}

}  // namespace

void MatMul(const MatrixView& a, const MatrixView& b, float* c, int64_t ldc) {
  const c10::InferenceMode no_autograd;
  const at::Tensor left = Wrap(a), right = Wrap(b);
  at::Tensor out = Wrap(c, left.size(0), right.size(1), ldc);
  at::mm_out(out, left, right);
}

}  // namespace tandem::nn
