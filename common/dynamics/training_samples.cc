#include "common/dynamics/training_samples.h"

#include <algorithm>

#include "common/nn/normal_stream.h"

namespace tandem::dynamics {

void TrainingSamples::Resize(int64_t rows, int64_t obs_dim, int64_t action_dim) {
  obs_dim_ = obs_dim;
  action_dim_ = action_dim;
  for (auto* column : {&observations_, &next_observations_, &gradients_, &spread_}) {
    column->resize(rows * obs_dim);
  }
  actions_.resize(rows * action_dim);
  mean_gradients_.assign(rows * (obs_dim + 1), 0);
  log_var_gradients_.assign(rows * (obs_dim + 1), 0);
}

void TrainingSamples::Draw(int64_t first, std::span<const float> inputs,
                           const nn::EnsemblePrediction& prediction, const EnsembleMetadata& meta,
                           Rng& rng) {
  const int64_t obs = obs_dim_, dim = obs_dim_ + action_dim_;
  const int64_t rows = static_cast<int64_t>(inputs.size()) / dim;
  noise_.resize(rows * obs);
  nn::NormalStream(rng.Next()).Fill(noise_);
  if (meta.deterministic) std::fill(noise_.begin(), noise_.end(), 0.0f);
  for (int64_t i = 0; i < rows; ++i) {
    const float* in = inputs.data() + i * dim;
    for (int64_t j = 0; j < dim; ++j) {
      const float x = in[j] * meta.inputs.std[j] + meta.inputs.mean[j];
      if (j < obs) {
        observations_[(first + i) * obs + j] = x;
      } else {
        actions_[(first + i) * action_dim_ + j - obs] = x;
      }
    }
    for (int64_t j = 0; j < obs; ++j) {
      const int64_t at = (first + i) * obs + j;
      spread_[at] = prediction.stds[i * (obs + 1) + j] * noise_[i * obs + j];
      const float change = prediction.means[i * (obs + 1) + j] + spread_[at];
      next_observations_[at] =
          observations_[at] + change * meta.targets.std[j] + meta.targets.mean[j];
    }
  }
}

absl::Status TrainingSamples::Ask(SampleObjective& objective) {
  return objective.Gradients(observations_, actions_, next_observations_, gradients_);
}

void TrainingSamples::CarryBack(int64_t batch, const EnsembleMetadata& meta) {
  const int64_t obs = obs_dim_;
  const int64_t rows = static_cast<int64_t>(gradients_.size()) / obs;
  const float share = 1 / static_cast<float>(batch * (obs + 1));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < obs; ++j) {
      const float by_change = gradients_[i * obs + j] * meta.targets.std[j] * share;
      mean_gradients_[i * (obs + 1) + j] = by_change;
      log_var_gradients_[i * (obs + 1) + j] = by_change * spread_[i * obs + j] / 2;
    }
  }
}

}  // namespace tandem::dynamics
