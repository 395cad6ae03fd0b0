#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/denormals.h"
#include "common/nn/flat_ensemble.h"
#include "common/nn/torch_adam.h"
#include "common/nn/torch_memory.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

class AutogradEnsemble : public FlatEnsemble {
 public:
  AutogradEnsemble(const GaussianEnsembleSpec& spec, const std::string& device,
                   std::optional<uint64_t> seed)
      : FlatEnsemble(spec, /*align=*/1), device_(device), flat_(layout_, spec.members, device_) {
    InitialiseFrom(seed);
  }

  absl::Status Predict(int member, std::span<const float> inputs,
                       EnsemblePrediction* prediction) override {
    TANDEM_RETURN_IF_ERROR(CheckPredict(member, inputs));
    return TryTorch([&] {
      at::NoGradGuard no_grad;
      const int64_t rows = static_cast<int64_t>(inputs.size()) / spec_.input_dim;
      const Outputs out = Forward(Import(inputs, {1, rows, spec_.input_dim}), [&](size_t entry) {
        return flat_.leaf(entry).narrow(0, member, 1);
      });
      prediction->means = ToHost(out.mean);
      prediction->log_vars = ToHost(out.log_var);
      prediction->stds = ToHost((0.5 * out.log_var).exp());
      prediction->logits = ToHost(out.logits);
      return absl::OkStatus();
    });
  }

  void CopyMemberParameters(int member, std::vector<float>* parameters) const override {
    *parameters = ToHost(flat_.parameters.narrow(0, member, 1));
  }

  absl::Status SetMemberParameters(int member, std::span<const float> parameters) override {
    TANDEM_RETURN_IF_ERROR(CheckParameters(member, parameters));
    return TryTorch([&] {
      at::NoGradGuard no_grad;
      flat_.parameters.narrow(0, member, 1).copy_(Import(parameters, {1, layout_.size()}));
      return absl::OkStatus();
    });
  }

 protected:
  std::vector<float> Read(Buffer buffer) const override { return ToHost(Select(buffer)); }
  void Write(Buffer buffer, std::span<const float> flat) override {
    at::NoGradGuard no_grad;
    Select(buffer).copy_(Import(flat, {spec_.members, layout_.size()}));
  }

 private:
  /// Each [members, B, ...].
  struct Outputs {
    at::Tensor mean, log_var, logits;
  };

  at::Tensor Select(Buffer buffer) const {
    return Pick(buffer, flat_.parameters, flat_.first, flat_.second);
  }

  at::Tensor Import(std::span<const float> data, at::IntArrayRef shape) const {
    return OnDevice(data, shape, device_);
  }

  template <typename Leaf>
  Outputs Forward(at::Tensor h, const Leaf& leaf) const {
    const size_t layers = spec_.hidden.size() + 1;
    for (size_t layer = 0; layer < layers; ++layer) {
      h = at::baddbmm(leaf(2 * layer + 1), h, leaf(2 * layer));
      if (layer + 1 < layers) h = at::silu(h);
    }
    const int64_t dim = spec_.output_dim;
    const at::Tensor low = leaf(min_entry());
    const at::Tensor high = leaf(max_entry());
    at::Tensor log_var = high - at::softplus(high - h.narrow(2, dim, dim));
    log_var = low + at::softplus(log_var - low);
    return {h.narrow(2, 0, dim), log_var, h.narrow(2, 2 * dim, spec_.binary_dim)};
  }

  absl::Status Step(const EnsembleRows& batch, const AdamOptions& options,
                    std::span<float> losses) override {
    const FlushDenormals flush;
    const int64_t members = spec_.members;
    flat_.ClearGradients();
    const Outputs out = Forward(Import(batch.inputs, {members, batch.rows, spec_.input_dim}),
                                [&](size_t entry) { return flat_.leaf(entry); });
    const at::Tensor targets = Import(batch.targets, {members, batch.rows, spec_.output_dim});
    at::Tensor loss =
        ((out.mean - targets).square() * (-out.log_var).exp() + out.log_var).mean({1, 2}) * 0.5 +
        (flat_.leaf(max_entry()) - flat_.leaf(min_entry())).sum({1, 2}) * 0.01;
    if (spec_.binary_dim > 0) {
      const at::Tensor wanted =
          Import(batch.binary_targets, {members, batch.rows, spec_.binary_dim});
      loss = loss +
             at::binary_cross_entropy_with_logits(out.logits, wanted, {}, {}, at::Reduction::None)
                 .mean({1, 2});
    }
    const std::vector<float> host = ToHost(loss);
    for (int64_t m = 0; m < members; ++m) {
      losses[m] = host[m];
      if (!std::isfinite(host[m])) {
        return absl::InternalError(absl::StrCat("ensemble member ", m, ": its loss is not finite"));
      }
    }
    at::Tensor total = loss.sum();
    if (!batch.mean_gradients.empty()) {
      const std::vector<int64_t> shape = {members, batch.rows, spec_.output_dim};
      total = total + (out.mean * Import(batch.mean_gradients, shape)).sum() +
              (out.log_var * Import(batch.log_var_gradients, shape)).sum();
    }
    total.backward();
    flat_.AdamStep(options, ++adam_steps_);
    return absl::OkStatus();
  }

  const at::Device device_;
  TorchParameters flat_;
};

}  // namespace

std::unique_ptr<GaussianEnsemble> MakeAutogradEnsemble(const GaussianEnsembleSpec& spec,
                                                       const std::string& device,
                                                       std::optional<uint64_t> seed) {
  return std::make_unique<AutogradEnsemble>(spec, device, seed);
}

}  // namespace tandem::nn
