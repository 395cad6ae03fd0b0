#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "common/base/rng.h"
#include "common/coadaptation/backup_bias.h"
#include "common/data/batch.h"
#include "common/dynamics/dynamics_model.h"
#include "common/policy/policy.h"

namespace tandem::monitor {

/// What one real transition says about the model.
struct ScoredStep {
  coadaptation::BackupBias bias;
  double residual = 0;
};

/// Scores real transitions against a model, with the values of a policy:
///   V(s) = mean over action_samples draws a ~ policy of the smaller target critic's Q(s, a),
/// the same V on both sides of the bias, so that the entropy bonus inside Q largely cancels. The
/// model's backup is the mean over max(model_samples, elites) sampled next states, with each
/// elite's mean reward. Seeded; not thread-safe.
class TransitionScorer {
 public:
  /// action_samples, model_samples >= 1.
  TransitionScorer(int action_samples, int model_samples, uint64_t seed)
      : action_samples_(action_samples), model_samples_(model_samples), rng_(seed) {}

  /// Appends one score for each row. model_rewards: mean over the elites, [B].
  absl::Status Score(dynamics::DynamicsModel& model, const policy::LoadedPolicy& policy,
                     const TransitionBatch& rows, std::span<const double> model_rewards,
                     std::vector<ScoredStep>* scores);

  /// V of `rows` observations, [rows, obs_dim]; values: resized to [rows].
  absl::Status Values(const policy::LoadedPolicy& policy, std::span<const float> observations,
                      int64_t rows, int64_t action_dim, std::vector<double>* values);

 private:
  const int action_samples_;
  const int model_samples_;
  Rng rng_;
};

}  // namespace tandem::monitor
