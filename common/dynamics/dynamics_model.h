#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/env/environment.h"
#include "common/nn/safetensors.h"

namespace tandem::dynamics {

/// A sampled step for B rows. Buffers are reused between calls.
struct ModelStep {
  std::vector<float> next_observations;  ///< [B, obs_dim]
  std::vector<float> rewards;            ///< [B]
  std::vector<uint8_t> terminated;       ///< [B]
};

/// What one member believes, for B rows.
struct MemberPrediction {
  std::vector<float> next_means;    ///< [B, obs_dim]
  std::vector<float> next_stds;     ///< [B, obs_dim]
  std::vector<float> reward_means;  ///< [B]
  std::vector<float> reward_stds;   ///< [B]; 0 where the reward is known
  std::vector<float>
      termination_probs;  ///< [B]; by the known function at the mean where that is used
};

/// What the world does, as learned. Immutable once loaded. Not thread-safe (it owns scratch
/// buffers).
class DynamicsModel {
 public:
  virtual ~DynamicsModel() = default;
  virtual int64_t obs_dim() const = 0;
  virtual int64_t action_dim() const = 0;
  /// Members that predict, best holdout score first.
  virtual const std::vector<int>& elites() const = 0;
  /// Standard deviation of each target in the training data, [obs_dim + 1]: the changes of the
  /// observation, then the reward. The unit of disagreement and errors. Empty: not known.
  virtual const std::vector<float>& target_stds() const {
    static const std::vector<float> unknown;
    return unknown;
  }

  /// Samples one step for each row: a random elite, then its Gaussian (its mean alone, where the
  /// model is deterministic), then termination.
  /// observations: [B, obs_dim]; actions: [B, action_dim] in the environment's units.
  virtual absl::Status Step(std::span<const float> observations, std::span<const float> actions,
                            Rng& rng, ModelStep* step) = 0;

  /// One member's prediction, without sampling. member: an index in [0, members).
  virtual absl::Status Predict(int member, std::span<const float> observations,
                               std::span<const float> actions, MemberPrediction* prediction) = 0;
};

/// Where imagined episodes end.
enum class TerminationKind { kKnown, kLearned, kNever };

/// Rebuilds a model from a snapshot: dispatches on its metadata "kind". INVALID_ARGUMENT for an
/// unknown kind or a snapshot of another spec, saying what was expected and what came.
absl::StatusOr<std::unique_ptr<DynamicsModel>> LoadDynamicsModel(const nn::TensorFile& snapshot,
                                                                 const EnvironmentSpec& spec,
                                                                 const std::string& device);

}  // namespace tandem::dynamics
