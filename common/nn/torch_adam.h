#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/nn/gaussian_ensemble.h"
#include "common/nn/layout.h"

namespace tandem::nn {

/// Flat parameters of several networks of one layout on a device, with Adam's moments, and a leaf
/// tensor for autograd over each entry. For sources that see LibTorch.
class TorchParameters {
 public:
  TorchParameters(const ParameterLayout& layout, int64_t networks, const at::Device& device);

  /// The entry's values, [networks, rows, cols] (rows = 1 for a vector), sharing the flat buffer.
  const at::Tensor& leaf(size_t entry) const { return leaves_[entry]; }

  void ClearGradients();
  /// Scales the leaves' gradients down to `most` where their norm, over all, exceeds it.
  void ClipGradients(double most);
  /// One step of Adam on the leaves' gradients, with decoupled weight decay. step: 1 for the first.
  void AdamStep(const AdamOptions& options, int64_t step);

  at::Tensor parameters;  ///< [networks, layout.size()]
  at::Tensor first;       ///< Adam's mean of gradients
  at::Tensor second;      ///< Adam's mean of squared gradients

 private:
  const std::vector<LayoutEntry> entries_;
  std::vector<at::Tensor> leaves_;
  at::Tensor gradients_;
  std::vector<at::Tensor> gradient_views_;
};

}  // namespace tandem::nn
