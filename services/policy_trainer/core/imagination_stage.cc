#include "services/policy_trainer/core/imagination_stage.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/coadaptation/quantile.h"
#include "common/dynamics/imagination.h"

namespace tandem::policy_trainer {
namespace {

constexpr absl::Duration kModelWait = absl::Seconds(5);
constexpr int64_t kClampSample = 10'000;  // [rows]
constexpr double kClampQuantile = 0.001;
constexpr int64_t kStateSample = 20'000;  // [rows]

}  // namespace

ImaginationStage::ImaginationStage(const ImaginationOptions& options, const EnvironmentSpec& spec,
                                   ModelFollower& models, RealSampler& sampler,
                                   PolicyTrainerMetrics& metrics, StopSignal& stop, Clock& clock,
                                   std::unique_ptr<objective::StateClassifier> states)
    : options_(options),
      models_(models),
      sampler_(sampler),
      metrics_(metrics),
      stop_(stop),
      clock_(clock),
      states_(std::move(states)),
      pool_(spec.observation.dim(), spec.action.dim(), options_.retain_refits) {}

void ImaginationStage::Clear() {
  pool_.Clear();
  pool_through_index_ = -1;
}

void ImaginationStage::SetUse(const ImaginationUse& use) {
  if (use == use_) return;
  use_ = use;
  Clear();
}

absl::Status ImaginationStage::Refresh(const Grant& grant, policy::SacLearner& learner) {
  if (grant.through_index < pool_through_index_) Clear();  // the replay buffer lost its steps
  const bool same = options_.exact_model ? grant.model_through_index == pool_through_index_
                                         : grant.model_through_index <= pool_through_index_;
  const int64_t refit = grant.env_steps / std::max<int64_t>(1, options_.refit_interval);
  const bool frozen = options_.freeze_after > 0 && grant.env_steps > options_.freeze_after;
  if (same && !(frozen && refit > pool_refit_)) return absl::OkStatus();
  const absl::Duration start = clock_.Monotonic();
  absl::StatusOr<FollowedModel> followed =
      models_.WaitFor(grant.model_through_index, options_.exact_model, kModelWait);
  metrics_.model_waiting_seconds.Increment(absl::ToDoubleSeconds(clock_.Monotonic() - start));
  TANDEM_RETURN_IF_ERROR(followed.status());
  std::string draw = absl::StrCat(followed->through_index);
  if (frozen) absl::StrAppend(&draw, "/", refit);
  TANDEM_RETURN_IF_ERROR(Fill(*followed, draw, learner));
  pool_refit_ = refit;
  return absl::OkStatus();
}

absl::Status ImaginationStage::ClampRewards(const std::string& draw, int64_t through_index,
                                            TransitionBatch* imagined) {
  TANDEM_ASSIGN_OR_RETURN(
      const TransitionBatch real,
      sampler_.Sample(SampleKind::kTransitions, kClampSample,
                      StreamSeed(options_.seed, "clamped_rewards/" + draw), through_index));
  const std::vector<double> rewards(real.rewards.begin(), real.rewards.end());
  const auto low = static_cast<float>(coadaptation::Quantile(rewards, kClampQuantile));
  const auto high = static_cast<float>(coadaptation::Quantile(rewards, 1 - kClampQuantile));
  for (float& reward : imagined->rewards) reward = std::clamp(reward, low, high);
  return absl::OkStatus();
}

absl::Status ImaginationStage::Fill(FollowedModel& followed, const std::string& draw,
                                    policy::SacLearner& learner) {
  const absl::Duration start = clock_.Monotonic();
  TANDEM_ASSIGN_OR_RETURN(
      const TransitionBatch starts,
      sampler_.Sample(SampleKind::kStartStates, options_.rollouts_per_refit,
                      StreamSeed(options_.seed, "start_states/" + draw), followed.through_index));

  const int horizon =
      std::min(use_.horizon,
               dynamics::HorizonAt(followed.env_steps, options_.horizon_start, options_.horizon_end,
                                   options_.schedule_start, options_.schedule_end));
  Rng model_rng(options_.seed, "imagination/" + draw);
  Rng action_rng(options_.seed, "imagined_actions/" + draw);
  const dynamics::ActFunction act = [&](std::span<const float> observations,
                                        std::span<float> actions) {
    return learner.Act(observations, &action_rng, actions);
  };
  TransitionBatch& columns = pool_.Begin(options_.rollouts_per_refit * horizon);
  int64_t dropped = 0, truncated = 0;
  TANDEM_RETURN_IF_ERROR(dynamics::Imagine(
      *followed.model, act, starts.observations,
      {.horizon = horizon, .pessimism = use_.pessimism, .truncate_above = options_.truncate_above},
      model_rng, [this] { return stop_.stopped(); }, &columns, &dropped, &truncated));
  if (use_.clamp_rewards) {
    TANDEM_RETURN_IF_ERROR(ClampRewards(draw, followed.through_index, &columns));
  }
  if (options_.ratio) {
    TANDEM_RETURN_IF_ERROR(LearnStates(draw, followed.through_index, columns));
    TANDEM_RETURN_IF_ERROR(EstimateRatios(followed, draw));
  }
  pool_.Commit();
  pool_through_index_ = followed.through_index;
  model_version_ = followed.version.version;
  smallest_reward_ = followed.smallest_reward;
  horizon_ = horizon;
  truncated_share_ = static_cast<double>(truncated) / options_.rollouts_per_refit;
  Show(columns.size(), truncated, dropped, start);
  return absl::OkStatus();
}

absl::Status ImaginationStage::LearnStates(const std::string& draw, int64_t through_index,
                                           const TransitionBatch& imagined) {
  if (states_ == nullptr || imagined.size() == 0 || draw == states_learned_) {
    return absl::OkStatus();
  }
  TANDEM_ASSIGN_OR_RETURN(
      const TransitionBatch real,
      sampler_.Sample(SampleKind::kTransitions, kStateSample,
                      StreamSeed(options_.seed, "real_states/" + draw), through_index));
  Rng rng(options_.seed, "state_classifier/" + draw);
  TANDEM_RETURN_IF_ERROR(states_->Fit(real.next_observations, imagined.next_observations, rng,
                                      [this] { return stop_.stopped(); }));
  states_learned_ = draw;
  return absl::OkStatus();
}

absl::Status ImaginationStage::EstimateRatios(FollowedModel& followed, const std::string& draw) {
  Rng rng(options_.seed, "log_ratios/" + draw);
  objective::LogRatioEstimator estimator(
      *options_.ratio, *followed.model, *followed.classifier, [this] { return stop_.stopped(); },
      states_ != nullptr && states_->fits() > 0 ? states_.get() : nullptr);
  objective::LogRatioFigures figures;
  TANDEM_RETURN_IF_ERROR(
      pool_.Relabel([&](const TransitionBatch& rows, std::span<float> log_ratios) {
        return estimator.Estimate(rows.observations, rows.actions, rows.next_observations, rng,
                                  log_ratios, &figures);
      }));
  ratios_ = figures;
  return absl::OkStatus();
}

void ImaginationStage::Show(int64_t imagined, int64_t truncated, int64_t dropped,
                            absl::Duration start) {
  metrics_.imagine_seconds.Observe(absl::ToDoubleSeconds(clock_.Monotonic() - start));
  metrics_.rollouts.Increment(static_cast<double>(options_.rollouts_per_refit));
  metrics_.truncated_rollouts.Increment(static_cast<double>(truncated));
  metrics_.imagined_steps.Increment(static_cast<double>(imagined));
  metrics_.dropped_rows.Increment(static_cast<double>(dropped));
  metrics_.horizon.Set(horizon_);
  metrics_.pool_rows.Set(static_cast<double>(pool_.rows()));
  metrics_.model_version.Set(static_cast<double>(model_version_));
  metrics_.model_through_index.Set(static_cast<double>(pool_through_index_));
  LogInfo(absl::StrFormat("imagined %d steps of horizon %d with model %d in %.2f s, %d dropped",
                          imagined, horizon_, model_version_,
                          absl::ToDoubleSeconds(clock_.Monotonic() - start), dropped));
}

}  // namespace tandem::policy_trainer
