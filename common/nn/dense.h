#pragma once

#include <cstdint>
#include <vector>

#include "common/nn/gaussian_ensemble.h"
#include "common/nn/kernels.h"
#include "common/nn/layout.h"

namespace tandem::nn {

/// The three products of a dense layer over padded buffers; each picks the kernel's loop or the
/// tensor library, whichever suits the sizes. Weights are an entry of a layout, at `w`; the padding
/// of outputs comes out as zeros.

/// y = activation(x W + bias), of ReLU or SiLU. x: [rows, entry.rows], rows `ldx` floats apart; y:
/// [rows, entry.stride]; slope: where SiLU's derivative goes, as y, or null.
void DenseForward(const LayoutEntry& entry, const float* w, const float* bias,
                  Activation activation, const float* x, int64_t ldx, int64_t rows, float* y,
                  float* slope);
/// d_w = x^T d_y, an entry's gradient.
void DenseWeightGradient(const LayoutEntry& entry, const float* x, int64_t ldx, const float* d_y,
                         int64_t rows, float* d_w);
/// d_x = d_y W^T, for wide inputs. d_x: rows of `ldx` floats; transposed: scratch.
void DenseInputGradient(const LayoutEntry& entry, const float* w, const float* d_y, int64_t rows,
                        float* d_x, int64_t ldx, AlignedFloats* transposed);

/// Rows [first, first + count) of an entry, transposed and padded: [entry.cols, PadLanes(count)].
void TransposeRows(const LayoutEntry& entry, const float* w, int64_t first, int64_t count,
                   AlignedFloats* out);

/// A copy of `size` floats; those that the buffer does not have are 0.
std::vector<float> Copied(const AlignedFloats& buffer, int64_t size);
/// Enlarges to at least `size`, with zeros.
void Reserve(AlignedFloats* buffer, int64_t size);

/// Scalars of Adam's step number `step` (1 for the first).
AdamScalars ScalarsOf(const AdamOptions& options, int64_t step, bool decay);
/// One step on the parameters of one network; weight decay as the layout says.
void AdamNetwork(const ParameterLayout& layout, const AdamOptions& options, int64_t step, float* p,
                 const float* gradient, float* m, float* v);

}  // namespace tandem::nn
