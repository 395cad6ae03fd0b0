#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tandem::nn {

// Between host memory, float32 row-major, and tensors on a device. For sources that see LibTorch,
// whose exceptions these let through.

/// The values as a tensor of `shape` on `device`. On the CPU it shares their memory, which it must
/// not outlive; clone() it where it is to be kept or a leaf of autograd.
at::Tensor OnDevice(std::span<const float> data, at::IntArrayRef shape, const at::Device& device);
/// The same, as rows of `cols` values.
at::Tensor RowsOnDevice(std::span<const float> data, int64_t cols, const at::Device& device);

/// Copies a tensor to host memory.
std::vector<float> ToHost(const at::Tensor& tensor);
/// The same, into `out`, which is as large as the tensor.
void CopyToHost(const at::Tensor& tensor, std::span<float> out);

}  // namespace tandem::nn
