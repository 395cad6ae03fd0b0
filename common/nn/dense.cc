#include "common/nn/dense.h"

#include <algorithm>
#include <cmath>

#include "common/nn/gaussian_ensemble.h"
#include "common/nn/matmul.h"

namespace tandem::nn {
namespace {

/// Up to so many rows the kernel's loop beats the tensor library always.
constexpr int64_t kFewRows = 16;

/// A size of a weight gradient up to which the same holds.
constexpr int64_t kSmall = 32;

/// Whether the kernel's loop beats the tensor library at a product of [rows, depth] and
/// [depth, cols].
bool UseKernel(int64_t rows, int64_t cols, int64_t depth) {
  return rows <= kFewRows || cols <= kLanes || depth <= Kernels::Get().deepest_product;
}

/// Clears the padding of a product's rows, which the tensor library does not write.
void ClearPadding(float* y, int64_t rows, int64_t cols, int64_t ld) {
  if (cols == ld) return;
  for (int64_t i = 0; i < rows; ++i) std::fill(y + i * ld + cols, y + (i + 1) * ld, 0.0f);
}

}  // namespace

void DenseForward(const LayoutEntry& entry, const float* w, const float* bias,
                  Activation activation, const float* x, int64_t ldx, int64_t rows, float* y,
                  float* slope) {
  const Kernels& kernels = Kernels::Get();
  if (UseKernel(rows, entry.cols, entry.rows)) {
    return kernels.product(x, ldx, 1, w, entry.stride, bias, rows, entry.stride, entry.rows,
                           activation, y, entry.stride, slope);
  }
  MatMul({x, rows, entry.rows, ldx}, {w, entry.rows, entry.cols, entry.stride}, y, entry.stride);
  ClearPadding(y, rows, entry.cols, entry.stride);
  if (activation == Activation::kRelu) return kernels.bias_relu(y, rows, entry.stride, bias);
  kernels.bias_silu(y, rows, entry.stride, bias, slope);
}

void DenseWeightGradient(const LayoutEntry& entry, const float* x, int64_t ldx, const float* d_y,
                         int64_t rows, float* d_w) {
  const Kernels& kernels = Kernels::Get();
  // As wide as deep at most: the transposed operand is read a column at a time.
  const bool narrow = entry.rows <= kernels.deepest_product && rows <= kernels.deepest_product;
  if (narrow || rows <= kSmall || entry.rows <= kSmall || entry.cols <= kLanes) {
    kernels.product(x, 1, ldx, d_y, entry.stride, nullptr, entry.rows, entry.stride, rows,
                    Activation::kNone, d_w, entry.stride, nullptr);
  } else {
    MatMul({x, rows, entry.rows, ldx, true}, {d_y, rows, entry.cols, entry.stride}, d_w,
           entry.stride);
    ClearPadding(d_w, entry.rows, entry.cols, entry.stride);
  }
}

void DenseInputGradient(const LayoutEntry& entry, const float* w, const float* d_y, int64_t rows,
                        float* d_x, int64_t ldx, AlignedFloats* transposed) {
  if (UseKernel(rows, entry.rows, entry.cols)) {
    const Kernels& kernels = Kernels::Get();
    const int64_t width = PadLanes(entry.rows);
    // Rows a multiple of 512 bytes apart would share a few sets of the cache.
    const int64_t ld = width % 128 == 0 ? width + kLanes : width;
    Reserve(transposed, entry.cols * ld);
    kernels.transpose(w, entry.stride, entry.rows, entry.cols, transposed->data(), ld);
    return kernels.product(d_y, entry.stride, 1, transposed->data(), ld, nullptr, rows, width,
                           entry.cols, Activation::kNone, d_x, ldx, nullptr);
  }
  MatMul({d_y, rows, entry.cols, entry.stride}, {w, entry.rows, entry.cols, entry.stride, true},
         d_x, ldx);
  ClearPadding(d_x, rows, entry.rows, ldx);
}

void TransposeRows(const LayoutEntry& entry, const float* w, int64_t first, int64_t count,
                   AlignedFloats* out) {
  const int64_t ld = PadLanes(count);
  Reserve(out, entry.cols * ld);
  Kernels::Get().transpose(w + first * entry.stride, entry.stride, count, entry.cols, out->data(),
                           ld);
}

std::vector<float> Copied(const AlignedFloats& buffer, int64_t size) {
  std::vector<float> copy(buffer.begin(), buffer.end());
  copy.resize(size);
  return copy;
}

void Reserve(AlignedFloats* buffer, int64_t size) {
  if (static_cast<int64_t>(buffer->size()) < size) buffer->resize(size, 0);
}

AdamScalars ScalarsOf(const AdamOptions& options, int64_t step, bool decay) {
  const double t = static_cast<double>(step);
  return {.beta1 = static_cast<float>(options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .keep = static_cast<float>(decay ? 1 - options.lr * options.weight_decay : 1),
          .step = static_cast<float>(options.lr / (1 - std::pow(options.beta1, t))),
          .second_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, t))),
          .epsilon = static_cast<float>(options.epsilon)};
}

void AdamNetwork(const ParameterLayout& layout, const AdamOptions& options, int64_t step, float* p,
                 const float* gradient, float* m, float* v) {
  const AdamScalars weights = ScalarsOf(options, step, true);
  const AdamScalars vectors = ScalarsOf(options, step, false);
  for (const LayoutEntry& entry : layout.entries()) {
    const int64_t o = entry.offset;
    Kernels::Get().adam(p + o, gradient + o, m + o, v + o, entry.rows * entry.stride,
                        entry.decay ? weights : vectors);
  }
}

}  // namespace tandem::nn
