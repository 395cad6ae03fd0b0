#include "services/policy_trainer/options.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/nn/device.h"

namespace tandem::policy_trainer {
namespace {

constexpr int64_t kMostPoolRows = 100'000'000;

absl::StatusOr<policy::SacLearnerOptions> LearnerFrom(const config::v1::RunConfig& config,
                                                      uint64_t seed) {
  const config::v1::Policy& policy = config.policy();
  policy::SacLearnerOptions options;
  options.hidden.assign(policy.hidden().begin(), policy.hidden().end());
  options.sac.lr = policy.lr();
  options.sac.temperature_lr = policy.temperature_lr();
  options.sac.initial_temperature = policy.initial_temperature();
  options.sac.tau = policy.tau();
  options.sac.discount = policy.discount();
  if (policy.has_target_entropy()) options.target_entropy = policy.target_entropy();
  options.seed = seed;
  TANDEM_RETURN_IF_ERROR(nn::ResolveDevice(config.runtime().device(), &options.device));
  return options;
}

absl::StatusOr<ImaginationOptions> ImaginationFrom(const config::v1::Imagination& imagination,
                                                   bool lockstep, uint64_t seed) {
  ImaginationOptions options;
  options.rollouts_per_refit = imagination.rollouts_per_refit();
  options.horizon_start = imagination.horizon_start();
  options.horizon_end = imagination.horizon_end();
  options.schedule_start = imagination.schedule_start();
  options.schedule_end = imagination.schedule_end();
  options.retain_refits = imagination.retain_refits();
  options.pessimism = imagination.pessimism();
  options.truncate_above = imagination.truncate_above();
  options.exact_model = lockstep;
  options.seed = seed;
  const int64_t rows =
      options.rollouts_per_refit * std::max(options.horizon_start, options.horizon_end);
  if (rows > kMostPoolRows / options.retain_refits) {
    return absl::InvalidArgumentError(
        absl::StrCat("imagination: rollouts_per_refit x horizon x retain_refits: expected at most ",
                     kMostPoolRows, " imagined steps in memory, got ", options.rollouts_per_refit,
                     " x ", rows / options.rollouts_per_refit, " x ", options.retain_refits));
  }
  return options;
}

objective::RatioWeight WeightOf(config::v1::RatioWeight mode) {
  switch (mode) {
    case config::v1::RATIO_WEIGHT_SCHEDULE:
      return objective::RatioWeight::kLinear;
    case config::v1::RATIO_WEIGHT_DUAL:
      return objective::RatioWeight::kDual;
    default:
      return objective::RatioWeight::kFixed;
  }
}

objective::RewardTransform TransformOf(config::v1::RewardTransform transform) {
  switch (transform) {
    case config::v1::REWARD_TRANSFORM_EXP:
      return objective::RewardTransform::kExp;
    case config::v1::REWARD_TRANSFORM_SOFTPLUS:
      return objective::RewardTransform::kSoftplus;
    default:
      return objective::RewardTransform::kShift;
  }
}

JointOptions JointFrom(const config::v1::RunConfig& config) {
  const config::v1::Objective& objective = config.objective();
  JointOptions options;
  options.reward.discount = config.policy().discount();
  options.reward.log_reward = objective.log_reward();
  options.reward.transform = TransformOf(objective.reward_transform());
  options.reward.reward_scale = objective.reward_scale();
  options.reward.shift_from_data = options.reward.transform == objective::RewardTransform::kShift &&
                                   !objective.has_reward_shift();
  options.reward.reward_shift = objective.reward_shift();
  if (objective.has_reward_min()) options.reward.min_reward = objective.reward_min();
  options.reward.terminal_reward = objective.terminal_reward();
  options.reward.kind = WeightOf(objective.weight_mode());
  options.reward.weight = objective.weight();
  options.reward.weight_end = objective.weight_end();
  options.reward.ramp_updates = objective.weight_updates();
  options.reward.target_divergence = objective.divergence_target();
  options.reward.weight_lr = objective.dual_lr();
  options.reward.weight_fall = objective.dual_fall();
  options.reward.min_weight = objective.weight_min();
  options.reward.max_weight = objective.weight_max();
  options.reward.warmup_updates = objective.ratio_warmup_updates();
  options.ratio = {.lower = objective.logit_lower(),
                   .upper = objective.logit_upper(),
                   .tolerance = objective.logit_tolerance(),
                   .state_tolerance = objective.state_tolerance(),
                   .best_logit = config::BestLogit(config),
                   .samples = objective.logit_samples()};
  return options;
}

/// The classifier of states. What it shares with that of transitions says config.proto.
objective::StateClassifierOptions StatesFrom(const config::v1::Objective& objective,
                                             const std::string& device, uint64_t seed) {
  objective::StateClassifierOptions options;
  options.hidden.assign(objective.classifier_hidden().begin(), objective.classifier_hidden().end());
  options.adam = {.lr = objective.classifier_lr(),
                  .weight_decay = objective.classifier_weight_decay()};
  options.batch_size = objective.classifier_batch_size();
  options.first_steps = objective.state_first_steps();
  options.fit_steps = objective.state_steps();
  options.smoothing = 1 - objective.classifier_target();
  options.input_noise = objective.state_noise();
  options.mixture = objective.state_mixture();
  options.device = device;
  options.seed = seed;
  return options;
}

absl::StatusOr<PolicyTrainerOptions> TrainerFrom(const config::v1::RunConfig& config,
                                                 uint64_t seed) {
  const config::v1::Endpoints& endpoints = config.endpoints();
  PolicyTrainerOptions options;
  if (!endpoints.member().empty()) options.member = endpoints.member();
  options.lockstep = config.pace().mode() != config::v1::PACE_MODE_ASYNC;
  options.batch_size = config.policy().batch_size();
  options.real_share = config.imagination().real_share();
  options.publish_interval = config.policy().publish_interval();
  options.state_dir = endpoints.state_dir();
  options.checkpoint_interval = absl::Seconds(config.runtime().checkpoint_seconds());
  options.seed = seed;
  TANDEM_ASSIGN_OR_RETURN(options.imagination,
                          ImaginationFrom(config.imagination(), options.lockstep, seed));
  options.imagination.refit_interval = config.pace().refit_interval();
  options.imagination.freeze_after = config.model().freeze_after();
  if (config.objective().kind() == config::v1::OBJECTIVE_KIND_MNM)
    options.joint = JointFrom(config);
  return options;
}

}  // namespace

absl::StatusOr<ServiceOptions> OptionsFrom(const config::v1::RunConfig& config) {
  const config::v1::Endpoints& endpoints = config.endpoints();
  if (endpoints.listen().empty() || endpoints.replay_buffer().empty() ||
      endpoints.model_trainer().empty()) {
    return absl::InvalidArgumentError(
        "policy_trainer: set endpoints.listen, endpoints.replay_buffer and "
        "endpoints.model_trainer");
  }
  const uint64_t seed =
      config::SeedFor(config, config.policy().has_seed(), config.policy().seed(), "policy");
  ServiceOptions options;
  TANDEM_ASSIGN_OR_RETURN(options.trainer, TrainerFrom(config, seed));
  TANDEM_ASSIGN_OR_RETURN(options.learner, LearnerFrom(config, seed));
  if (options.trainer.joint && config.objective().state_price()) {
    options.trainer.joint->states =
        StatesFrom(config.objective(), options.learner.device,
                   config::SeedFor(config, config.objective().has_seed(), config.objective().seed(),
                                   "states"));
  }
  options.server.role = "policy_trainer";
  options.server.address = endpoints.listen();
  options.server.metrics_address = endpoints.metrics();
  options.server.state_dir = endpoints.state_dir();
  options.replay_buffer = endpoints.replay_buffer();
  options.model_trainer = endpoints.model_trainer();
  options.monitor = endpoints.monitor();
  options.threads = config::Threads(config);
  options.drain = absl::Seconds(config.runtime().drain_seconds());
  return options;
}

}  // namespace tandem::policy_trainer
