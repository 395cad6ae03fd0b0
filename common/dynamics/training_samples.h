#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "common/base/rng.h"
#include "common/dynamics/gaussian_ensemble_model.h"
#include "common/dynamics/sample_objective.h"
#include "common/nn/gaussian_ensemble.h"

namespace tandem::dynamics {

/// Transitions that the members of an ensemble sample for their training rows, and the way back of
/// an objective's gradient by them (Kingma and Welling 2014):
///   s' = s + mean + std * noise,  so that  d/d mean = d/d s',  d/d log_var = d/d s' * noise *
///   std/2,
/// all in the normalised units that the network knows. The reward has no part in it. Scratch that
/// is reused; not thread-safe.
class TrainingSamples {
 public:
  /// Makes room for `rows` rows of all members.
  void Resize(int64_t rows, int64_t obs_dim, int64_t action_dim);
  /// Samples the rows from `first` on from a member's prediction for `inputs`, normalised. With a
  /// deterministic model s' is the mean.
  void Draw(int64_t first, std::span<const float> inputs, const nn::EnsemblePrediction& prediction,
            const EnsembleMetadata& meta, Rng& rng);
  /// The objective's gradients by the samples.
  absl::Status Ask(SampleObjective& objective);
  /// Turns them into gradients by the outputs of the objective's mean over the `batch` rows of a
  /// member, divided by the number of outputs: the ensemble's loss is the mean of -log q over rows
  /// and outputs (nn/gaussian_ensemble.h), so that both stand to each other as in E[-log q(s', r)]
  /// plus the objective.
  void CarryBack(int64_t batch, const EnsembleMetadata& meta);

  std::span<const float> mean_gradients() const { return mean_gradients_; }  // [rows, obs + 1]
  std::span<const float> log_var_gradients() const { return log_var_gradients_; }  // the same

 private:
  int64_t obs_dim_ = 0;
  int64_t action_dim_ = 0;
  std::vector<float> observations_, actions_, next_observations_, gradients_;
  std::vector<float> spread_;  ///< [rows, obs_dim] std * noise, normalised
  std::vector<float> noise_;
  std::vector<float> mean_gradients_, log_var_gradients_;
};

}  // namespace tandem::dynamics
