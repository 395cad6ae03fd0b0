#include "common/nn/state_value.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softplus.h>

#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/device.h"
#include "common/nn/flat_actor_critic.h"
#include "common/nn/layout.h"
#include "common/nn/torch_memory.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

/// Weights and biases of an MLP with ReLU, [networks, in, out] and [networks, 1, out].
using Layers = std::vector<std::pair<at::Tensor, at::Tensor>>;

/// Reads "<prefix>w0", "<prefix>b0", ... of `networks` networks.
absl::StatusOr<Layers> Read(const TensorFile& file, const std::string& prefix, int64_t networks,
                            bool leading, const ParameterLayout& layout, const at::Device& device) {
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> flat,
                          ImportTensors(layout, networks, leading, prefix, file));
  Layers layers;
  const at::Tensor all = RowsOnDevice(flat, layout.size(), device).clone();
  for (size_t entry = 0; entry < layout.entries().size(); entry += 2) {
    const auto view = [&](const LayoutEntry& e) {
      return all.narrow(1, e.offset, e.rows * e.cols).reshape({networks, e.rows, e.cols});
    };
    layers.emplace_back(view(layout[entry]), view(layout[entry + 1]));
  }
  return layers;
}

/// inputs: [B, in]; out: [networks, B, out].
at::Tensor Forward(const Layers& layers, const at::Tensor& inputs) {
  at::Tensor h = inputs.unsqueeze(0).expand({layers[0].first.size(0), -1, -1});
  for (size_t l = 0; l < layers.size(); ++l) {
    h = at::baddbmm(layers[l].second, h, layers[l].first);
    if (l + 1 < layers.size()) h = at::relu(h);
  }
  return h;
}

class TorchStateValue : public StateValue {
 public:
  TorchStateValue(const ActorCriticSpec& spec, double temperature, const at::Device& device)
      : spec_(spec), temperature_(temperature), device_(device) {}

  absl::Status Read(const TensorFile& file) {
    const int64_t obs = spec_.obs_dim, act = spec_.action_dim;
    TANDEM_ASSIGN_OR_RETURN(actor_,
                            nn::Read(file, "actor.", 1, /*leading=*/false,
                                     ParameterLayout::Mlp(1, obs, spec_.hidden, 2 * act), device_));
    TANDEM_ASSIGN_OR_RETURN(critics_,
                            nn::Read(file, "target.", 2, /*leading=*/true,
                                     ParameterLayout::Mlp(1, obs + act, spec_.hidden, 1), device_));
    return absl::OkStatus();
  }

  absl::Status ValueGradients(std::span<const float> observations, std::span<const float> noise,
                              std::span<float> values, std::span<float> gradients) override {
    const size_t rows = values.size();
    if (observations.size() != rows * spec_.obs_dim || noise.size() != rows * spec_.action_dim ||
        gradients.size() != observations.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "state value: expected ", rows, " rows of observations, noise and gradients, got ",
          observations.size(), ", ", noise.size(), " and ", gradients.size(), " numbers"));
    }
    return TryTorch([&] {
      const at::Tensor s =
          RowsOnDevice(observations, spec_.obs_dim, device_).clone().requires_grad_(true);
      const at::Tensor value = Value(s, RowsOnDevice(noise, spec_.action_dim, device_));
      value.sum().backward();
      CopyToHost(value, values);
      CopyToHost(s.grad(), gradients);
      return absl::OkStatus();
    });
  }

 private:
  at::Tensor Value(const at::Tensor& s, const at::Tensor& noise) const {
    const int64_t dim = spec_.action_dim;
    const at::Tensor out = Forward(actor_, s)[0];
    const at::Tensor log_std = out.narrow(1, dim, dim).clamp(kMinLogStd, kMaxLogStd);
    const at::Tensor raw = out.narrow(1, 0, dim) + log_std.exp() * noise;
    // log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))
    const at::Tensor squash = (std::numbers::ln2 - raw - at::softplus(raw * -2)) * 2;
    const at::Tensor log_prob =
        (-log_std - squash - noise.square() * 0.5 - 0.5 * std::log(2 * std::numbers::pi)).sum({1});
    const at::Tensor q = Forward(critics_, at::cat({s, raw.tanh()}, 1)).squeeze(2);
    return at::minimum(q[0], q[1]) - log_prob * temperature_;
  }

  const ActorCriticSpec spec_;
  const double temperature_;
  const at::Device device_;
  Layers actor_, critics_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StateValue>> StateValue::Load(const TensorFile& file,
                                                             const ActorCriticSpec& spec,
                                                             double temperature,
                                                             const std::string& device) {
  std::string resolved;
  TANDEM_RETURN_IF_ERROR(ResolveDevice(device, &resolved));
  std::unique_ptr<TorchStateValue> value;
  TANDEM_RETURN_IF_ERROR(TryTorch([&] {
    value = std::make_unique<TorchStateValue>(spec, temperature, at::Device(resolved));
    return value->Read(file);
  }));
  return value;
}

}  // namespace tandem::nn
