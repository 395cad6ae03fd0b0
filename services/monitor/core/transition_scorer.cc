#include "services/monitor/core/transition_scorer.h"

#include <algorithm>

#include "common/base/status_macros.h"

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

absl::Status TransitionScorer::Score(dynamics::DynamicsModel& model,
                                     const policy::LoadedPolicy& policy,
                                     const TransitionBatch& rows,
                                     std::span<const double> model_rewards,
                                     std::vector<ScoredStep>* scores) {
  const int64_t n = rows.size();
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
      outcomes[i * samples + sample] = {model_rewards[i], step.terminated[i] != 0 ? 1.0 : 0.0,
                                        imagined[i]};
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    const Outcome real = {rows.rewards[i], rows.terminated[i] != 0 ? 1.0 : 0.0, next_values[i]};
    const std::span<const Outcome> model_outcomes(&outcomes[i * samples], samples);
    scores->push_back({ComputeBackupBias(real, model_outcomes, policy.discount),
                       BellmanResidual(values[i], model_outcomes, policy.discount)});
  }
  return absl::OkStatus();
}

}  // namespace tandem::monitor
