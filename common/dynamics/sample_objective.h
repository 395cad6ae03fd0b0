#pragma once

#include <span>

#include "absl/status/status.h"

namespace tandem::dynamics {

/// A further term of a model's loss, beside the likelihood: a function of transitions that the
/// model samples while it is trained, of which it gives the gradient by the sampled next
/// observation. The learner draws s' = mean + std * noise and carries the gradient on to mean and
/// std. Called from within Fit; not thread-safe.
class SampleObjective {
 public:
  virtual ~SampleObjective() = default;

  /// Whether it has anything to say now; asked once before each gradient step. Where not, the step
  /// costs what a step on the likelihood costs.
  virtual bool active() const = 0;

  /// gradients, [B, obs_dim]: of the term for each row, in the environment's units, to be minimised
  /// beside -log q of what was observed, all outputs together (the learner takes the mean over a
  /// member's batch). observations, next_observations: [B,
  /// obs_dim]; actions: [B, action_dim]. Called once in a gradient step with the rows of all
  /// members, one member after the other.
  virtual absl::Status Gradients(std::span<const float> observations,
                                 std::span<const float> actions,
                                 std::span<const float> next_observations,
                                 std::span<float> gradients) = 0;
};

}  // namespace tandem::dynamics
