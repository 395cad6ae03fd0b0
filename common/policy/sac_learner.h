#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/data/batch.h"
#include "common/data/spec.h"
#include "common/nn/actor_critic.h"
#include "common/nn/safetensors.h"
#include "common/policy/policy.h"

namespace tandem::policy {

struct SacLearnerOptions {
  std::vector<int> hidden = {256, 256};
  nn::SacOptions sac;
  std::optional<double> target_entropy;  ///< unset: minus the action dimension
  std::string device = "cpu";
  uint64_t seed = 0;
};

/// Learns a policy and its critics from batches of transitions, real or imagined. Actions are in
/// the environment's units at this border and scaled to [-1, 1] inside.
///
/// Knows nothing of RPC. Not thread-safe.
class SacLearner {
 public:
  static absl::StatusOr<std::unique_ptr<SacLearner>> Create(const EnvironmentSpec& spec,
                                                            const SacLearnerOptions& options);
  virtual ~SacLearner() = default;

  /// One update on columns observations, actions, rewards, next_observations, terminated of
  /// `batch`.
  virtual absl::StatusOr<nn::SacFigures> Update(const TransitionBatch& batch) = 0;

  /// Acts with the current weights, for imagined rollouts; noise from `rng`.
  virtual absl::Status Act(std::span<const float> observations, Rng* rng,
                           std::span<float> actions) = 0;

  virtual uint64_t updates() const = 0;

  /// Actor and critics as a snapshot, with action scaling, spec and updates in the metadata.
  virtual nn::TensorFile ExportPolicy() const = 0;

  /// All that a restart needs to go on bit for bit.
  virtual nn::TensorFile SaveState() const = 0;
  virtual absl::Status LoadState(const nn::TensorFile& state) = 0;
  /// Goes back to the weights, moments and random streams of `state`, but goes on counting updates.
  virtual absl::Status RestoreWeights(const nn::TensorFile& state) = 0;
};

}  // namespace tandem::policy
