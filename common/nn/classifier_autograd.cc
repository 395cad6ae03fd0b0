#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>

#include <cmath>

#include "common/base/status_macros.h"
#include "common/nn/denormals.h"
#include "common/nn/flat_classifier.h"
#include "common/nn/torch_adam.h"
#include "common/nn/torch_memory.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

class AutogradClassifier : public FlatClassifier {
 public:
  AutogradClassifier(const BinaryClassifierSpec& spec, const std::string& device,
                     std::optional<uint64_t> seed)
      : FlatClassifier(spec, /*align=*/1), device_(device), flat_(layout_, 1, device_) {
    InitialiseFrom(seed);
  }

  absl::Status Logits(std::span<const float> inputs, std::span<float> logits) override {
    TANDEM_RETURN_IF_ERROR(Check(inputs, logits));
    return TryTorch([&] {
      at::NoGradGuard no_grad;
      CopyToHost(Forward(Import(inputs, spec_.input_dim)), logits);
      return absl::OkStatus();
    });
  }

  absl::Status LogitGradients(std::span<const float> inputs, std::span<float> logits,
                              std::span<float> gradients) override {
    TANDEM_RETURN_IF_ERROR(Check(inputs, logits, gradients));
    return TryTorch([&] {
      const at::Tensor x = Import(inputs, spec_.input_dim).clone().requires_grad_(true);
      const at::Tensor logit = Forward(x);
      CopyToHost(logit, logits);
      flat_.ClearGradients();
      logit.sum().backward();
      CopyToHost(x.grad(), gradients);
      return absl::OkStatus();
    });
  }

 protected:
  std::vector<float> Read(Buffer buffer) const override { return ToHost(Select(buffer)); }
  void Write(Buffer buffer, std::span<const float> flat) override {
    at::NoGradGuard no_grad;
    Select(buffer).copy_(Import(flat, layout_.size()));
  }

 private:
  at::Tensor Select(Buffer buffer) const {
    return Pick(buffer, flat_.parameters, flat_.first, flat_.second);
  }

  at::Tensor Import(std::span<const float> data, int64_t cols) const {
    return RowsOnDevice(data, cols, device_);
  }

  /// Logits, [B], of inputs, [B, input_dim].
  at::Tensor Forward(const at::Tensor& inputs) const {
    at::Tensor h = inputs.unsqueeze(0);
    const size_t layers = spec_.hidden.size() + 1;
    for (size_t layer = 0; layer < layers; ++layer) {
      h = at::baddbmm(flat_.leaf(2 * layer + 1), h, flat_.leaf(2 * layer));
      if (layer + 1 == layers) break;
      h = layer == 0 && spec_.layer_norm ? at::tanh(Normalised(h)) : at::relu(h);
    }
    return h[0].squeeze(1);
  }

  /// Each row, [1, B, hidden[0]], less its mean and over its standard deviation, then scaled.
  at::Tensor Normalised(const at::Tensor& rows) const {
    const size_t gain = 2 * (spec_.hidden.size() + 1), bias = gain + 1;
    const int64_t width = spec_.hidden.front();
    return at::layer_norm(rows, {width}, flat_.leaf(gain).view(width) + 1,
                          flat_.leaf(bias).view(width));
  }

  absl::Status Step(const ClassifierRows& batch, const ClassifierStepOptions& options,
                    double* loss) override {
    const FlushDenormals flush;
    flat_.ClearGradients();
    const at::Tensor inputs = Import(batch.inputs, spec_.input_dim);
    const at::Tensor mean =
        at::binary_cross_entropy_with_logits(Forward(inputs), Import(batch.targets, 1).squeeze(1));
    *loss = mean.item<double>();
    if (!std::isfinite(*loss + (inputs * 0).sum().item<double>())) {
      return absl::InternalError("classifier: its loss is not finite");
    }
    mean.backward();
    if (options.max_gradient_norm > 0) flat_.ClipGradients(options.max_gradient_norm);
    flat_.AdamStep(options.adam, ++adam_steps_);
    return absl::OkStatus();
  }

  const at::Device device_;
  TorchParameters flat_;
};

}  // namespace

std::unique_ptr<BinaryClassifier> MakeAutogradClassifier(const BinaryClassifierSpec& spec,
                                                         const std::string& device,
                                                         std::optional<uint64_t> seed) {
  return std::make_unique<AutogradClassifier>(spec, device, seed);
}

}  // namespace tandem::nn
