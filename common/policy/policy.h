#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/data/spec.h"
#include "common/nn/safetensors.h"

namespace tandem::policy {

/// What to do. Immutable. Not thread-safe (it owns scratch buffers).
class Policy {
 public:
  virtual ~Policy() = default;
  /// observations: [B, obs_dim]; actions: [B, action_dim] in the environment's units; log_probs:
  /// [B] (density in the environment's units) or empty. rng: null for the deterministic action.
  virtual absl::Status Act(std::span<const float> observations, Rng* rng, std::span<float> actions,
                           std::span<float> log_probs) = 0;

  /// The Gaussian behind a squashed action, in [-1, 1] before tanh: means, log_stds: [B,
  /// action_dim]. UNIMPLEMENTED where the policy is no squashed Gaussian.
  virtual absl::Status Distribution(std::span<const float>, std::span<float>, std::span<float>) {
    return absl::UnimplementedError("this kind of policy is no squashed Gaussian");
  }
};

/// How good it is: the learned value of an action. Not thread-safe.
class Critic {
 public:
  virtual ~Critic() = default;
  /// values: [B]; actions in the environment's units. The smaller of the target critics.
  virtual absl::Status Value(std::span<const float> observations, std::span<const float> actions,
                             std::span<float> values) = 0;
};

/// A policy snapshot, loaded.
struct LoadedPolicy {
  std::shared_ptr<Policy> policy;
  std::shared_ptr<Critic> critic;  ///< Null where it was left out.
  uint64_t policy_updates = 0;     ///< Updates it has had.
  double discount = 0.99;
  double temperature = 0;
};

/// Rebuilds a policy from a snapshot: dispatches on its metadata "kind". INVALID_ARGUMENT for an
/// unknown kind or a snapshot of another spec, saying what was expected and what came. Without
/// `with_critic` the critic is left out (null), which is a fifth of the work: for who only acts.
absl::StatusOr<LoadedPolicy> LoadPolicy(const nn::TensorFile& snapshot, const EnvironmentSpec& spec,
                                        const std::string& device, bool with_critic = true);

}  // namespace tandem::policy
