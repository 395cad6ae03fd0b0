#include "common/nn/torch_adam.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace tandem::nn {
namespace {

at::Tensor View(const at::Tensor& flat, const LayoutEntry& entry) {
  return flat.as_strided({flat.size(0), entry.rows, entry.cols}, {flat.stride(0), entry.stride, 1},
                         entry.offset);
}

}  // namespace

TorchParameters::TorchParameters(const ParameterLayout& layout, int64_t networks,
                                 const at::Device& device)
    : entries_(layout.entries()) {
  parameters = at::zeros({networks, layout.size()}, at::TensorOptions(at::kFloat).device(device));
  first = at::zeros_like(parameters);
  second = at::zeros_like(parameters);
  gradients_ = at::zeros_like(parameters);
  for (const LayoutEntry& entry : entries_) {
    leaves_.push_back(View(parameters, entry).detach().requires_grad_(true));
    gradient_views_.push_back(View(gradients_, entry));
  }
}

void TorchParameters::ClearGradients() {
  for (at::Tensor& leaf : leaves_) leaf.mutable_grad() = at::Tensor();
}

void TorchParameters::ClipGradients(double most) {
  at::NoGradGuard no_grad;
  double squares = 0;
  if (!leaves_.empty()) {  // Summed on the device, which is waited for once.
    at::Tensor sum = at::zeros({}, leaves_[0].options().dtype(at::kDouble).requires_grad(false));
    for (const at::Tensor& leaf : leaves_) {
      if (leaf.grad().defined()) sum += leaf.grad().to(at::kDouble).square().sum();
    }
    squares = sum.item<double>();
  }
  if (squares <= most * most) return;
  for (at::Tensor& leaf : leaves_) {
    if (leaf.grad().defined()) leaf.mutable_grad().mul_(most / std::sqrt(squares));
  }
}

void TorchParameters::AdamStep(const AdamOptions& options, int64_t step) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (leaves_[i].grad().defined()) gradient_views_[i].copy_(leaves_[i].grad());
    if (entries_[i].decay && options.weight_decay != 0) {
      leaves_[i].mul_(1 - options.lr * options.weight_decay);
    }
  }
  first.mul_(options.beta1).add_(gradients_, 1 - options.beta1);
  second.mul_(options.beta2).addcmul_(gradients_, gradients_, 1 - options.beta2);
  const double first_scale = 1 - std::pow(options.beta1, static_cast<double>(step));
  const double second_scale = 1 - std::pow(options.beta2, static_cast<double>(step));
  const at::Tensor denominator = second.sqrt().div_(std::sqrt(second_scale)).add_(options.epsilon);
  parameters.addcdiv_(first, denominator, -options.lr / first_scale);
}

}  // namespace tandem::nn
