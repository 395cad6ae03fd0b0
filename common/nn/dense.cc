#include "common/nn/dense.h"

#include <algorithm>
#include <cmath>

#include "common/nn/gaussian_ensemble.h"
#include "common/nn/matmul.h"

namespace tandem::nn {
namespace {

/// Below these sizes the kernel's loop beats the tensor library.
constexpr int64_t kFewRows = 16;
constexpr int64_t kSmallDepth = 32;

bool UseKernel(const LayoutEntry& entry, int64_t rows) {
  return rows <= kFewRows || entry.rows <= kSmallDepth || entry.cols <= kLanes;
}

/// Clears the padding of a product's rows, which the tensor library does not write.
void ClearPadding(float* y, int64_t rows, int64_t cols, int64_t ld) {
  if (cols == ld) return;
  for (int64_t i = 0; i < rows; ++i) std::fill(y + i * ld + cols, y + (i + 1) * ld, 0.0f);
}

void Large(const LayoutEntry& entry, const float* w, const float* x, int64_t ldx, int64_t rows,
           float* y) {
  MatMul({x, rows, entry.rows, ldx}, {w, entry.rows, entry.cols, entry.stride}, y, entry.stride);
  ClearPadding(y, rows, entry.cols, entry.stride);
}

}  // namespace

void DenseForward(const LayoutEntry& entry, const float* w, const float* x, int64_t ldx,
                  int64_t rows, float* y) {
  if (!UseKernel(entry, rows)) return Large(entry, w, x, ldx, rows, y);
  Kernels::Get().product(x, ldx, 1, w, entry.stride, nullptr, rows, entry.stride, entry.rows, false,
                         y, entry.stride);
}

void DenseRelu(const LayoutEntry& entry, const float* w, const float* bias, const float* x,
               int64_t ldx, int64_t rows, float* y) {
  if (!UseKernel(entry, rows)) {
    Large(entry, w, x, ldx, rows, y);
    return Kernels::Get().bias_relu(y, rows, entry.stride, bias);
  }
  Kernels::Get().product(x, ldx, 1, w, entry.stride, bias, rows, entry.stride, entry.rows, true, y,
                         entry.stride);
}

void DenseWeightGradient(const LayoutEntry& entry, const float* x, int64_t ldx, const float* d_y,
                         int64_t rows, float* d_w) {
  if (rows <= kSmallDepth || entry.rows <= kSmallDepth || entry.cols <= kLanes) {
    Kernels::Get().product(x, 1, ldx, d_y, entry.stride, nullptr, entry.rows, entry.stride, rows,
                           false, d_w, entry.stride);
  } else {
    MatMul({x, rows, entry.rows, ldx, true}, {d_y, rows, entry.cols, entry.stride}, d_w,
           entry.stride);
    ClearPadding(d_w, entry.rows, entry.cols, entry.stride);
  }
}

void DenseInputGradient(const LayoutEntry& entry, const float* w, const float* d_y, int64_t rows,
                        float* d_x, int64_t ldx) {
  MatMul({d_y, rows, entry.cols, entry.stride}, {w, entry.rows, entry.cols, entry.stride, true},
         d_x, ldx);
  ClearPadding(d_x, rows, entry.rows, ldx);
}

void TransposeRows(const LayoutEntry& entry, const float* w, int64_t first, int64_t count,
                   AlignedFloats* out) {
  const int64_t ld = PadLanes(count);
  out->assign(entry.cols * ld, 0);
  for (int64_t r = 0; r < count; ++r) {
    const float* row = w + (first + r) * entry.stride;
    for (int64_t c = 0; c < entry.cols; ++c) (*out)[c * ld + r] = row[c];
  }
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
