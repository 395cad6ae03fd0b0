#include "common/nn/torch_memory.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>

namespace tandem::nn {
namespace {

/// Contiguous, on the CPU, without history.
at::Tensor Host(const at::Tensor& tensor) { return tensor.detach().to(at::kCPU).contiguous(); }

}  // namespace

at::Tensor OnDevice(std::span<const float> data, at::IntArrayRef shape, const at::Device& device) {
  return at::from_blob(const_cast<float*>(data.data()), shape, at::TensorOptions(at::kFloat))
      .to(device);
}

at::Tensor RowsOnDevice(std::span<const float> data, int64_t cols, const at::Device& device) {
  return OnDevice(data, {static_cast<int64_t>(data.size()) / cols, cols}, device);
}

std::vector<float> ToHost(const at::Tensor& tensor) {
  const at::Tensor host = Host(tensor);
  const float* data = host.const_data_ptr<float>();
  return std::vector<float>(data, data + host.numel());
}

void CopyToHost(const at::Tensor& tensor, std::span<float> out) {
  const at::Tensor host = Host(tensor);
  std::copy_n(host.const_data_ptr<float>(), host.numel(), out.begin());
}

}  // namespace tandem::nn
