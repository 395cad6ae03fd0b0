#include "services/monitor/core/transition_scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/status_macros.h"
#include "common/coadaptation/model_error.h"

namespace tandem::monitor {

using coadaptation::Outcome;

absl::Status TransitionScorer::Values(const policy::LoadedPolicy& policy,
                                      std::span<const float> observations, int64_t rows,
                                      int64_t action_dim, std::vector<double>* values) {
  values->assign(rows, 0);
  std::vector<float> actions(rows * action_dim);
  std::vector<float> sampled(rows);
  for (int sample = 0; sample < action_samples_; ++sample) {
    TANDEM_RETURN_IF_ERROR(policy.policy->Act(observations, &rng_, actions, {}));
    TANDEM_RETURN_IF_ERROR(policy.critic->Value(observations, actions, sampled));
    for (int64_t i = 0; i < rows; ++i) (*values)[i] += sampled[i] / action_samples_;
  }
  return absl::OkStatus();
}

absl::Status TransitionScorer::PredictMean(dynamics::DynamicsModel& model,
                                           const TransitionBatch& rows) {
  const std::vector<int>& elites = model.elites();
  next_means_.assign(rows.observations.size(), 0);
  reward_means_.assign(rows.size(), 0);
  dynamics::MemberPrediction prediction;
  const float share = 1.0f / static_cast<float>(elites.size());
  for (int member : elites) {
    TANDEM_RETURN_IF_ERROR(model.Predict(member, rows.observations, rows.actions, &prediction));
    for (size_t i = 0; i < next_means_.size(); ++i) {
      next_means_[i] += share * prediction.next_means[i];
    }
    for (size_t i = 0; i < reward_means_.size(); ++i) {
      reward_means_[i] += share * prediction.reward_means[i];
    }
  }
  return absl::OkStatus();
}

double TransitionScorer::RowError(const TransitionBatch& rows, int64_t row,
                                  std::span<const double> sds) const {
  const int64_t dim = rows.obs_dim;
  return coadaptation::SquaredError(
      std::span<const float>(next_means_).subspan(row * dim, dim), reward_means_[row],
      std::span<const float>(rows.next_observations).subspan(row * dim, dim), rows.rewards[row],
      sds);
}

absl::Status TransitionScorer::Score(dynamics::DynamicsModel& model,
                                     const policy::LoadedPolicy& policy,
                                     const TransitionBatch& rows, std::span<const double> sds,
                                     std::vector<ScoredStep>* scores) {
  const int64_t n = rows.size();
  TANDEM_RETURN_IF_ERROR(PredictMean(model, rows));
  std::vector<double> values;
  std::vector<double> next_values;
  TANDEM_RETURN_IF_ERROR(Values(policy, rows.observations, n, rows.action_dim, &values));
  TANDEM_RETURN_IF_ERROR(Values(policy, rows.next_observations, n, rows.action_dim, &next_values));

  const int samples = std::max(model_samples_, static_cast<int>(model.elites().size()));
  std::vector<Outcome> outcomes(n * samples);  // [B, samples]
  dynamics::ModelStep step;
  std::vector<double> imagined;
  for (int sample = 0; sample < samples; ++sample) {
    TANDEM_RETURN_IF_ERROR(model.Step(rows.observations, rows.actions, rng_, &step));
    TANDEM_RETURN_IF_ERROR(Values(policy, step.next_observations, n, rows.action_dim, &imagined));
    for (int64_t i = 0; i < n; ++i) {
      outcomes[i * samples + sample] = {reward_means_[i], step.terminated[i] != 0 ? 1.0 : 0.0,
                                        imagined[i]};
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    const Outcome real = {rows.rewards[i], rows.terminated[i] != 0 ? 1.0 : 0.0, next_values[i]};
    const std::span<const Outcome> model_outcomes(&outcomes[i * samples], samples);
    scores->push_back({ComputeBackupBias(real, model_outcomes, policy.discount),
                       BellmanResidual(values[i], model_outcomes, policy.discount),
                       RowError(rows, i, sds)});
  }
  return absl::OkStatus();
}

absl::StatusOr<double> TransitionScorer::OneStepError(dynamics::DynamicsModel& model,
                                                      const TransitionBatch& rows,
                                                      std::span<const double> sds) {
  if (rows.size() == 0) return std::numeric_limits<double>::quiet_NaN();
  TANDEM_RETURN_IF_ERROR(PredictMean(model, rows));
  double sum = 0;
  for (int64_t i = 0; i < rows.size(); ++i) sum += RowError(rows, i, sds);
  return std::sqrt(sum / static_cast<double>(rows.size()));
}

}  // namespace tandem::monitor
