#pragma once

#include <cstdint>
#include <vector>

#include "common/nn/dense.h"

namespace tandem::nn {

/// Outputs of each hidden layer, [layers][rows, width].
using LayerBuffers = std::vector<AlignedFloats>;

/// Makes room for `rows` rows in each hidden layer of an MLP's layout.
void ReserveLayers(const ParameterLayout& layout, int64_t rows, LayerBuffers* buffers);

/// The hidden part of an MLP with ReLU, whose last layer its user computes. x: [rows, inputs], rows
/// `ldx` floats apart; p: the network's parameters.
void HiddenForward(const ParameterLayout& layout, const float* p, const float* x, int64_t ldx,
                   int64_t rows, LayerBuffers* hidden);

/// Gradients by the hidden parameters. d_hidden: its last layer holds the gradient by that layer's
/// outputs, masked, with the bias's gradient already written; the others are scratch. The
/// activations begin at row `first` of `hidden`. transposed: scratch.
void HiddenBackward(const ParameterLayout& layout, const float* p, const float* x, int64_t ldx,
                    int64_t first, int64_t rows, const LayerBuffers& hidden, LayerBuffers* d_hidden,
                    float* gradient, AlignedFloats* transposed);

/// Pulls the last layer of `d_hidden`, [rows, width], masked, back to the first hidden layer, for
/// rows `index` of `hidden`: no gradients by parameters.
void PullBack(const ParameterLayout& layout, const float* p, const int32_t* index, int64_t rows,
              const LayerBuffers& hidden, LayerBuffers* d_hidden, AlignedFloats* transposed);

}  // namespace tandem::nn
