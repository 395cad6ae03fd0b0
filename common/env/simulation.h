#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/env/environment.h"

namespace tandem {

/// What all built-in environments share: the random stream, the time limit, clipping, checks of
/// what comes in and goes out. A derived class adds the dynamics, in five short functions.
///
/// Internal to common/env and its tests; others see Environment. Not thread-safe.
class Simulation : public Environment {
 public:
  const EnvironmentSpec& spec() const final { return spec_; }
  absl::Status Reset(std::optional<uint64_t> seed, std::span<float> observation) final;
  absl::StatusOr<StepResult> Step(std::span<const float> action,
                                  std::span<float> observation) final;

  /// Starts an episode in exactly this state, [state_dim], for comparisons with other simulators.
  absl::Status SetState(std::span<const double> state, std::span<float> observation);

 protected:
  /// options.max_episode_steps replaces the spec's where it is positive.
  Simulation(EnvironmentSpec spec, const EnvironmentOptions& options);

  virtual size_t state_dim() const = 0;
  /// Draws the state in which an episode begins, [state_dim].
  virtual void DrawState(Rng& rng, std::span<double> state) const = 0;
  /// Puts the simulation into a state, [state_dim], as at the beginning of an episode.
  virtual void Enter(std::span<const double> state) = 0;
  /// One step; the action is finite and within its bounds. Sets reward and terminated. INTERNAL
  /// when the simulator itself reports that it diverged.
  virtual absl::StatusOr<StepResult> Advance(std::span<const float> action) = 0;
  /// Writes the observation of the present state, [obs_dim].
  virtual void Observe(std::span<float> observation) const = 0;

 private:
  EnvironmentSpec spec_;
  Rng rng_{0};                  // until the first Reset with a seed
  std::vector<float> clipped_;  // [action_dim]
  std::vector<double> start_;   // [state_dim]
  int64_t steps_ = 0;           // in this episode
  bool running_ = false;
};

}  // namespace tandem
