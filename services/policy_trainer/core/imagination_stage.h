#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/clients/replay_client.h"
#include "common/objective/log_ratio.h"
#include "common/objective/state_classifier.h"
#include "common/policy/sac_learner.h"
#include "services/policy_trainer/core/imagined_pool.h"
#include "services/policy_trainer/core/model_follower.h"
#include "services/policy_trainer/core/policy_trainer_metrics.h"
#include "services/policy_trainer/core/real_sampler.h"

namespace tandem::policy_trainer {

struct ImaginationOptions {
  int64_t rollouts_per_refit = 100'000;
  int horizon_start = 1;         ///< [steps]
  int horizon_end = 1;           ///< [steps]
  int64_t schedule_start = 0;    ///< [environment steps]
  int64_t schedule_end = 0;      ///< [environment steps]
  int retain_refits = 1;         ///< Generations in the pool.
  double pessimism = 0;          ///< See dynamics::Caution.
  double truncate_above = 0;     ///< See dynamics::Caution.
  bool exact_model = true;       ///< Lockstep: imagine with exactly the model that a grant names.
  int64_t refit_interval = 250;  ///< [environment steps]
  /// Training steps after which no new model comes, and the pool is made anew at each refit
  /// interval with the old one; 0: never.
  int64_t freeze_after = 0;
  /// How log-ratios are estimated, for the joint objective; nothing: they are not.
  std::optional<objective::LogRatioOptions> ratio;
  uint64_t seed = 0;
};

/// What can change about imagination while a run goes on.
struct ImaginationUse {
  int horizon = 1000;          ///< [steps] Most, whatever the schedule says.
  double pessimism = 0;        ///< Weight of the disagreement penalty on rewards.
  bool clamp_rewards = false;  ///< To the 0.1 % and 99.9 % quantiles of a sample of real ones.
  bool operator==(const ImaginationUse&) const = default;
};

/// Fills the pool of imagined transitions: branched rollouts of the current policy from real
/// states. Once for each model; anew with the same one where its use has changed, and where no new
/// model comes any more (freeze_after) at each refit interval. All its draws derive from the seed,
/// the model's through index and, then, the interval, so a repeated run imagines the same.
///
/// Not thread-safe. All it is given outlives it.
class ImaginationStage {
 public:
  /// states: judges the states that imagined steps end in, where log-ratios are estimated; null:
  /// they are not judged. Learns here, of each generation; not kept over a restart, after which it
  /// learns anew.
  ImaginationStage(const ImaginationOptions& options, const EnvironmentSpec& spec,
                   ModelFollower& models, RealSampler& sampler, PolicyTrainerMetrics& metrics,
                   StopSignal& stop, Clock& clock,
                   std::unique_ptr<objective::StateClassifier> states = nullptr);

  /// Where the pool is not that of the grant's model, or is to be made anew: waits for the model
  /// (at most 5 s, DEADLINE_EXCEEDED), imagines with `learner`'s policy and replaces the oldest
  /// generation; on an error the next try takes the place of what this one began. CANCELLED once
  /// stopped.
  absl::Status Refresh(const Grant& grant, policy::SacLearner& learner);

  /// From now on. Where that is a change the pool is forgotten, and made anew at the next Refresh.
  void SetUse(const ImaginationUse& use);

  /// Forgets the pool and its model.
  void Clear();

  const ImaginedPool& pool() const { return pool_; }
  /// Version of the model that filled the newest generation; 0 before the first.
  uint64_t model_version() const { return model_version_; }
  /// Of the newest generation; 0 before the first.
  int horizon() const { return horizon_; }
  double truncated_share() const { return truncated_share_; }
  /// Log-ratios of the whole pool, by its newest model and classifier; no rows without `ratio`.
  const objective::LogRatioFigures& ratios() const { return ratios_; }
  /// Smallest real reward that the newest model was fitted to, where it says so.
  std::optional<double> smallest_reward() const { return smallest_reward_; }

 private:
  absl::Status Fill(FollowedModel& followed, const std::string& draw, policy::SacLearner& learner);
  /// Shows the classifier of states a new generation beside real states: once for each draw, so
  /// that a try after a failed one, or another use of the same model, shows it nothing twice.
  absl::Status LearnStates(const std::string& draw, int64_t through_index,
                           const TransitionBatch& imagined);
  /// Gives every row of the pool its log-ratio by this model and its classifier.
  absl::Status EstimateRatios(FollowedModel& followed, const std::string& draw);
  void Show(int64_t imagined, int64_t truncated, int64_t dropped, absl::Duration start);
  /// `draw` names the random choice.
  absl::Status ClampRewards(const std::string& draw, int64_t through_index,
                            TransitionBatch* imagined);

  const ImaginationOptions options_;
  ModelFollower& models_;
  RealSampler& sampler_;
  PolicyTrainerMetrics& metrics_;
  StopSignal& stop_;
  Clock& clock_;
  const std::unique_ptr<objective::StateClassifier> states_;
  std::string states_learned_;  // the draw whose generation it was shown last
  ImaginedPool pool_;
  int64_t pool_through_index_ = -1;
  uint64_t model_version_ = 0;
  int horizon_ = 0;
  double truncated_share_ = 0;
  objective::LogRatioFigures ratios_;
  std::optional<double> smallest_reward_;
  int64_t pool_refit_ = -1;  // refit intervals passed when the pool was filled
  ImaginationUse use_;
};

}  // namespace tandem::policy_trainer
