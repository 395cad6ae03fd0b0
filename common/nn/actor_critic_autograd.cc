#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softplus.h>

#include <cmath>
#include <numbers>
#include <utility>

#include "common/base/status_macros.h"
#include "common/nn/denormals.h"
#include "common/nn/flat_actor_critic.h"
#include "common/nn/torch_adam.h"
#include "common/nn/torch_memory.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

class AutogradActorCritic : public FlatActorCritic {
 public:
  AutogradActorCritic(const ActorCriticSpec& spec, const SacOptions& options,
                      const std::string& device, std::optional<uint64_t> seed)
      : FlatActorCritic(spec, options, /*align=*/1, seed),
        device_(device),
        actor_(actor_layout_, 1, device_),
        critic_(critic_layout_, 2, device_),
        target_(critic_layout_, 2, device_) {
    InitialiseFrom(seed);
  }

  absl::StatusOr<SacFigures> Update(const SacBatch& batch) override {
    TANDEM_RETURN_IF_ERROR(CheckBatch(batch));
    SacFigures figures;
    TANDEM_RETURN_IF_ERROR(TryTorch([&] { return Step(batch, &figures); }));
    return figures;
  }

  absl::Status Act(std::span<const float> observations, std::span<const float> noise,
                   std::span<float> actions, std::span<float> log_probs) const override {
    TANDEM_RETURN_IF_ERROR(CheckAct(observations, noise, actions, log_probs));
    return TryTorch([&] {
      at::NoGradGuard no_grad;
      const Sample sample =
          SampleActions(Import(observations, spec_.obs_dim),
                        noise.empty() ? at::Tensor() : Import(noise, spec_.action_dim));
      CopyToHost(sample.actions, actions);
      if (!log_probs.empty()) CopyToHost(sample.log_probs, log_probs);
      return absl::OkStatus();
    });
  }

  absl::Status Distribution(std::span<const float> observations, std::span<float> means,
                            std::span<float> log_stds) const override {
    TANDEM_RETURN_IF_ERROR(CheckAct(observations, {}, means, {}));
    TANDEM_RETURN_IF_ERROR(CheckAct(observations, {}, log_stds, {}));
    return TryTorch([&] {
      at::NoGradGuard no_grad;
      const int64_t dim = spec_.action_dim;
      const at::Tensor out = Forward(actor_, Import(observations, spec_.obs_dim).unsqueeze(0))[0];
      CopyToHost(out.narrow(1, 0, dim), means);
      CopyToHost(out.narrow(1, dim, dim).clamp(kMinLogStd, kMaxLogStd), log_stds);
      return absl::OkStatus();
    });
  }

  absl::Status Value(std::span<const float> observations, std::span<const float> actions,
                     bool target, std::span<float> values) const override {
    TANDEM_RETURN_IF_ERROR(CheckValue(observations, actions, values));
    return TryTorch([&] {
      at::NoGradGuard no_grad;
      const at::Tensor q = Critics(target ? target_ : critic_, Import(observations, spec_.obs_dim),
                                   Import(actions, spec_.action_dim));
      CopyToHost(at::minimum(q[0], q[1]), values);
      return absl::OkStatus();
    });
  }

 protected:
  std::vector<float> Read(Buffer buffer) const override { return ToHost(Select(buffer)); }

  void Write(Buffer buffer, std::span<const float> flat) override {
    at::NoGradGuard no_grad;
    const at::Tensor to = Select(buffer);
    to.copy_(Import(flat, to.size(1)));
  }

 private:
  struct Sample {
    at::Tensor actions;    ///< [B, action_dim]
    at::Tensor log_probs;  ///< [B]
  };

  at::Tensor Select(Buffer buffer) const {
    switch (buffer) {
      case Buffer::kActor:
        return actor_.parameters;
      case Buffer::kActorFirst:
        return actor_.first;
      case Buffer::kActorSecond:
        return actor_.second;
      case Buffer::kCritic:
        return critic_.parameters;
      case Buffer::kCriticFirst:
        return critic_.first;
      case Buffer::kCriticSecond:
        return critic_.second;
      case Buffer::kTarget:
        break;
    }
    return target_.parameters;
  }

  at::Tensor Import(std::span<const float> data, int64_t cols) const {
    return RowsOnDevice(data, cols, device_);
  }

  /// h: [networks, B, inputs], or one network's input for all: [1, B, inputs].
  at::Tensor Forward(const TorchParameters& net, const at::Tensor& input) const {
    at::Tensor h = input.expand({net.parameters.size(0), input.size(1), input.size(2)});
    const size_t layers = spec_.hidden.size() + 1;
    for (size_t layer = 0; layer < layers; ++layer) {
      h = at::baddbmm(net.leaf(2 * layer + 1), h, net.leaf(2 * layer));
      if (layer + 1 < layers) h = at::relu(h);
    }
    return h;
  }

  /// Values of both critics, [2, B].
  at::Tensor Critics(const TorchParameters& net, const at::Tensor& observations,
                     const at::Tensor& actions) const {
    return Forward(net, at::cat({observations, actions}, 1).unsqueeze(0)).squeeze(2);
  }

  Sample SampleActions(const at::Tensor& observations, const at::Tensor& noise) const {
    const at::Tensor out = Forward(actor_, observations.unsqueeze(0))[0];
    const int64_t dim = spec_.action_dim;
    const at::Tensor mean = out.narrow(1, 0, dim);
    const at::Tensor log_std = out.narrow(1, dim, dim).clamp(kMinLogStd, kMaxLogStd);
    const at::Tensor raw = noise.defined() ? mean + log_std.exp() * noise : mean;
    // log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))
    const at::Tensor squash = (std::numbers::ln2 - raw - at::softplus(raw * -2)) * 2;
    at::Tensor log_probs = -log_std - squash - 0.5 * std::log(2 * std::numbers::pi);
    if (noise.defined()) log_probs = log_probs - noise.square() * 0.5;
    return {raw.tanh(), log_probs.sum({1})};
  }

  absl::Status Step(const SacBatch& batch, SacFigures* figures) {
    const FlushDenormals flush;
    const at::Tensor observations = Import(batch.observations, spec_.obs_dim);
    const at::Tensor noise = Noise(2 * batch.rows);
    const double alpha = temperature();

    const at::Tensor wanted = Targets(batch, noise.narrow(0, 0, batch.rows), alpha);
    critic_.ClearGradients();
    const at::Tensor q = Critics(critic_, observations, Import(batch.actions, spec_.action_dim));
    const at::Tensor critic_loss = (q - wanted.unsqueeze(0)).square().mean({1}).sum();
    figures->critic_loss = critic_loss.item<double>();
    figures->q_mean = at::minimum(q[0], q[1]).mean().item<double>();
    figures->target_mean = wanted.mean().item<double>();
    if (!std::isfinite(figures->critic_loss)) return NotFinite("critic");
    critic_loss.backward();
    ++updates_;
    critic_.AdamStep(Adam(), updates_);

    actor_.ClearGradients();
    const Sample sample = SampleActions(observations, noise.narrow(0, batch.rows, batch.rows));
    const at::Tensor values = Critics(critic_, observations, sample.actions);
    const at::Tensor actor_loss =
        (sample.log_probs * alpha - at::minimum(values[0], values[1])).mean();
    figures->actor_loss = actor_loss.item<double>();
    if (!std::isfinite(figures->actor_loss)) return NotFinite("actor");
    actor_loss.backward();
    actor_.AdamStep(Adam(), updates_);

    const double mean_log_prob = sample.log_probs.mean().item<double>();
    figures->entropy = -mean_log_prob;
    temperature_.Update(mean_log_prob, options_, updates_);
    figures->temperature = temperature();
    at::NoGradGuard no_grad;
    target_.parameters.lerp_(critic_.parameters, options_.tau);
    return absl::OkStatus();
  }

  at::Tensor Noise(int64_t rows) {
    std::vector<float> noise(rows * spec_.action_dim);
    noise_.Fill(noise);
    return Import(noise, spec_.action_dim).clone();
  }

  /// reward + discount (1 - terminated) (min target critic - alpha log probability), [B].
  at::Tensor Targets(const SacBatch& batch, const at::Tensor& noise, double alpha) const {
    at::NoGradGuard no_grad;
    const at::Tensor next = Import(batch.next_observations, spec_.obs_dim);
    const Sample sample = SampleActions(next, noise);
    const at::Tensor q = Critics(target_, next, sample.actions);
    const at::Tensor value = at::minimum(q[0], q[1]) - sample.log_probs * alpha;
    const at::Tensor go_on = 1 - Import(batch.terminated, 1).squeeze(1);
    return Import(batch.rewards, 1).squeeze(1) + go_on * value * options_.discount;
  }

  static absl::Status NotFinite(const char* which) {
    return absl::InternalError(std::string("sac: the ") + which + "'s loss is not finite");
  }

  const at::Device device_;
  TorchParameters actor_, critic_, target_;
};

}  // namespace

std::unique_ptr<ActorCritic> MakeAutogradActorCritic(const ActorCriticSpec& spec,
                                                     const SacOptions& options,
                                                     const std::string& device,
                                                     std::optional<uint64_t> seed) {
  return std::make_unique<AutogradActorCritic>(spec, options, device, seed);
}

}  // namespace tandem::nn
