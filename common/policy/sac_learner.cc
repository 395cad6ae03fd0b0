#include "common/policy/sac_learner.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/normal_stream.h"
#include "common/nn/snapshot_checks.h"
#include "common/policy/action_scale.h"
#include "common/policy/sac_snapshot.h"

namespace tandem::policy {
namespace {

class Learner : public SacLearner {
 public:
  Learner(const EnvironmentSpec& spec, const SacLearnerOptions& options,
          std::unique_ptr<nn::ActorCritic> network)
      : spec_(spec), options_(options), scale_(spec.action), network_(std::move(network)) {}

  absl::StatusOr<nn::SacFigures> Update(const TransitionBatch& batch) override {
    if (batch.obs_dim != spec_.observation.dim() || batch.action_dim != spec_.action.dim() ||
        static_cast<int64_t>(batch.actions.size()) != batch.size() * batch.action_dim) {
      return absl::InvalidArgumentError(
          absl::StrCat("sac batch: expected observations [B,", spec_.observation.dim(),
                       "] and actions [B,", spec_.action.dim(), "], got [", batch.size(), ",",
                       batch.obs_dim, "] and ", batch.actions.size(), " numbers"));
    }
    actions_.resize(batch.actions.size());
    scale_.ToUnit(batch.actions, actions_);
    terminated_.assign(batch.terminated.begin(), batch.terminated.end());
    TANDEM_ASSIGN_OR_RETURN(const nn::SacFigures figures,
                            network_->Update({.rows = batch.size(),
                                              .observations = batch.observations,
                                              .actions = actions_,
                                              .rewards = batch.rewards,
                                              .next_observations = batch.next_observations,
                                              .terminated = terminated_}));
    ++updates_;
    return figures;
  }

  absl::Status Act(std::span<const float> observations, Rng* rng,
                   std::span<float> actions) override {
    noise_.clear();
    if (rng != nullptr) {
      noise_.resize(actions.size());
      nn::NormalStream(rng->Next()).Fill(noise_);
    }
    TANDEM_RETURN_IF_ERROR(network_->Act(observations, noise_, actions, {}));
    scale_.ToEnvironment(actions);
    return absl::OkStatus();
  }

  uint64_t updates() const override { return updates_; }

  nn::TensorFile ExportPolicy() const override {
    nn::TensorFile file;
    SacMetadata{.hidden = options_.hidden,
                .updates = updates_,
                .discount = options_.sac.discount,
                .temperature = network_->temperature()}
        .Export(spec_, &file);
    network_->ExportParameters(&file);
    return file;
  }

  nn::TensorFile SaveState() const override {
    nn::TensorFile file = ExportPolicy();
    network_->ExportLearnerState(&file);
    return file;
  }

  absl::Status LoadState(const nn::TensorFile& state) override {
    TANDEM_ASSIGN_OR_RETURN(const SacMetadata metadata, SacMetadata::Import(state, spec_));
    TANDEM_RETURN_IF_ERROR(
        nn::SnapshotChecks("policy state").Text(state, "hidden", nn::JoinInts(options_.hidden)));
    TANDEM_RETURN_IF_ERROR(network_->ImportParameters(state));
    TANDEM_RETURN_IF_ERROR(network_->ImportLearnerState(state));
    updates_ = metadata.updates;
    return absl::OkStatus();
  }

  absl::Status RestoreWeights(const nn::TensorFile& state) override {
    const uint64_t updates = updates_;
    TANDEM_RETURN_IF_ERROR(LoadState(state));
    updates_ = updates;
    return absl::OkStatus();
  }

 private:
  const EnvironmentSpec spec_;
  const SacLearnerOptions options_;
  const ActionScale scale_;
  const std::unique_ptr<nn::ActorCritic> network_;
  uint64_t updates_ = 0;
  std::vector<float> actions_, terminated_, noise_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SacLearner>> SacLearner::Create(const EnvironmentSpec& spec,
                                                               const SacLearnerOptions& options) {
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  nn::SacOptions sac = options.sac;
  sac.target_entropy = options.target_entropy.value_or(-static_cast<double>(spec.action.dim()));
  TANDEM_ASSIGN_OR_RETURN(
      auto network, nn::ActorCritic::Create(NetworkSpec(spec, options.hidden), sac, options.device,
                                            StreamSeed(options.seed, "actor_critic")));
  return std::make_unique<Learner>(spec, options, std::move(network));
}

}  // namespace tandem::policy
