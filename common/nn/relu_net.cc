#include "common/nn/relu_net.h"

#include "common/nn/kernels.h"

namespace tandem::nn {
namespace {

size_t HiddenLayers(const ParameterLayout& layout) { return layout.entries().size() / 2 - 1; }

}  // namespace

void ReserveLayers(const ParameterLayout& layout, int64_t rows, LayerBuffers* buffers) {
  buffers->resize(HiddenLayers(layout));
  for (size_t l = 0; l < buffers->size(); ++l) Reserve(&(*buffers)[l], rows * layout[2 * l].stride);
}

void HiddenForward(const ParameterLayout& layout, const float* p, const float* x, int64_t ldx,
                   int64_t rows, LayerBuffers* hidden) {
  for (size_t l = 0; l < HiddenLayers(layout); ++l) {
    const LayoutEntry& w = layout[2 * l];
    float* y = (*hidden)[l].data();
    DenseForward(w, p + w.offset, p + layout[2 * l + 1].offset, Activation::kRelu, x, ldx, rows, y,
                 nullptr);
    x = y;
    ldx = w.stride;
  }
}

void HiddenBackward(const ParameterLayout& layout, const float* p, const float* x, int64_t ldx,
                    int64_t first, int64_t rows, const LayerBuffers& hidden, LayerBuffers* d_hidden,
                    float* gradient, AlignedFloats* transposed) {
  for (size_t l = HiddenLayers(layout); l-- > 0;) {
    const LayoutEntry& w = layout[2 * l];
    const float* d_y = (*d_hidden)[l].data();
    if (l == 0) {
      DenseWeightGradient(w, x, ldx, d_y, rows, gradient + w.offset);
      continue;
    }
    const int64_t ld = layout[2 * l - 2].stride;
    const float* h = hidden[l - 1].data() + first * ld;
    float* d_h = (*d_hidden)[l - 1].data();
    DenseWeightGradient(w, h, ld, d_y, rows, gradient + w.offset);
    DenseInputGradient(w, p + w.offset, d_y, rows, d_h, ld, transposed);
    Kernels::Get().mask_and_sum(d_h, h, nullptr, rows, ld, gradient + layout[2 * l - 1].offset);
  }
}

void PullBack(const ParameterLayout& layout, const float* p, const int32_t* index, int64_t rows,
              const LayerBuffers& hidden, LayerBuffers* d_hidden, AlignedFloats* transposed) {
  for (size_t l = HiddenLayers(layout); l-- > 1;) {
    const LayoutEntry& w = layout[2 * l];
    const int64_t ld = layout[2 * l - 2].stride;
    float* d_h = (*d_hidden)[l - 1].data();
    DenseInputGradient(w, p + w.offset, (*d_hidden)[l].data(), rows, d_h, ld, transposed);
    Kernels::Get().mask_and_sum(d_h, hidden[l - 1].data(), index, rows, ld, nullptr);
  }
}

}  // namespace tandem::nn
