#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/normal_stream.h"
#include "common/policy/action_scale.h"
#include "common/policy/policy.h"
#include "common/policy/sac_snapshot.h"

namespace tandem::policy {
namespace {

class SacPolicy : public Policy {
 public:
  SacPolicy(std::shared_ptr<const nn::ActorCritic> network, const ActionScale& scale)
      : network_(std::move(network)), scale_(scale) {}

  absl::Status Act(std::span<const float> observations, Rng* rng, std::span<float> actions,
                   std::span<float> log_probs) override {
    noise_.clear();
    if (rng != nullptr) {
      noise_.resize(actions.size());
      nn::NormalStream(rng->Next()).Fill(noise_);
    }
    TANDEM_RETURN_IF_ERROR(network_->Act(observations, noise_, actions, log_probs));
    scale_.ToEnvironment(actions);
    scale_.DensityToEnvironment(log_probs);
    return absl::OkStatus();
  }

  absl::Status Distribution(std::span<const float> observations, std::span<float> means,
                            std::span<float> log_stds) override {
    return network_->Distribution(observations, means, log_stds);
  }

 private:
  const std::shared_ptr<const nn::ActorCritic> network_;  // shared with the critic of one snapshot
  const ActionScale scale_;
  std::vector<float> noise_;
};

class SacCritic : public Critic {
 public:
  SacCritic(std::shared_ptr<const nn::ActorCritic> network, const ActionScale& scale)
      : network_(std::move(network)), scale_(scale) {}

  absl::Status Value(std::span<const float> observations, std::span<const float> actions,
                     std::span<float> values) override {
    if (actions.size() != values.size() * network_->spec().action_dim) {
      return absl::InvalidArgumentError("critic: actions and values do not fit");
    }
    unit_.resize(actions.size());
    scale_.ToUnit(actions, unit_);
    return network_->Value(observations, unit_, /*target=*/true, values);
  }

 private:
  const std::shared_ptr<const nn::ActorCritic> network_;
  const ActionScale scale_;
  std::vector<float> unit_;
};

}  // namespace

absl::StatusOr<LoadedPolicy> LoadPolicy(const nn::TensorFile& snapshot, const EnvironmentSpec& spec,
                                        const std::string& device, bool with_critic) {
  TANDEM_ASSIGN_OR_RETURN(const SacMetadata metadata, SacMetadata::Import(snapshot, spec));
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<nn::ActorCritic> made,
                          nn::ActorCritic::Create(NetworkSpec(spec, metadata.hidden),
                                                  nn::SacOptions{}, device, std::nullopt));
  TANDEM_RETURN_IF_ERROR(with_critic ? made->ImportParameters(snapshot)
                                     : made->ImportActor(snapshot));
  const std::shared_ptr<const nn::ActorCritic> network = std::move(made);
  const ActionScale scale(spec.action);
  return LoadedPolicy{.policy = std::make_shared<SacPolicy>(network, scale),
                      .critic = with_critic ? std::make_shared<SacCritic>(network, scale) : nullptr,
                      .policy_updates = metadata.updates,
                      .discount = metadata.discount,
                      .temperature = metadata.temperature};
}

}  // namespace tandem::policy
