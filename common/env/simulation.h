#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/env/environment.h"

namespace tandem {

/// What all built-in environments share: the random stream, the time limit, clipping, checks of
/// what comes in and goes out. A derived class adds the dynamics, in five short functions.
///
/// For common/env and for models that step the environment itself; others see Environment. Not
/// thread-safe.
class Simulation : public Environment {
 public:
  const EnvironmentSpec& spec() const final { return spec_; }
  absl::Status Reset(std::optional<uint64_t> seed, std::span<float> observation) final;
  absl::StatusOr<StepResult> Step(std::span<const float> action,
                                  std::span<float> observation) final;

  absl::Status WidenStart(double scale) final;

  /// Numbers in a state.
  virtual size_t state_dim() const = 0;
  /// Whether a step draws random numbers, so that what it gives does not follow from state and
  /// action alone.
  virtual bool noisy() const { return false; }

  /// Starts an episode in exactly this state, [state_dim], for comparisons with other simulators.
  absl::Status SetState(std::span<const double> state, std::span<float> observation);

  /// Starts an episode in the state that shows itself as `observation`, [obs_dim], so that the
  /// simulation can stand in for a learned model. FAILED_PRECONDITION where an observation does not
  /// determine the state.
  absl::Status SetObservation(std::span<const float> observation);

 protected:
  /// options.max_episode_steps replaces the spec's where it is positive.
  Simulation(EnvironmentSpec spec, const EnvironmentOptions& options);

  /// Draws the state in which an episode begins, [state_dim], from a range `scale` times as wide as
  /// the task's own.
  virtual void DrawState(Rng& rng, double scale, std::span<double> state) const = 0;
  /// Whether there is such a range; where all episodes begin alike nothing can be widened.
  virtual bool HasStartRange() const { return true; }
  /// The state, [state_dim], that shows itself as `observation`, [obs_dim].
  virtual absl::Status StateFrom(std::span<const float> observation, std::span<double> state) const;
  /// Puts the simulation into a state, [state_dim], as at the beginning of an episode.
  virtual void Enter(std::span<const double> state) = 0;
  /// One step; the action is finite and within its bounds. Sets reward and terminated. INTERNAL
  /// when the simulator itself reports that it diverged.
  virtual absl::StatusOr<StepResult> Advance(std::span<const float> action) = 0;
  /// Writes the observation of the present state, [obs_dim].
  virtual void Observe(std::span<float> observation) const = 0;

  /// The environment's own random stream, for an Advance that draws.
  Rng& rng() { return rng_; }

 private:
  EnvironmentSpec spec_;
  Rng rng_{0};                  // until the first Reset with a seed
  std::vector<float> clipped_;  // [action_dim]
  std::vector<double> start_;   // [state_dim]
  double start_scale_ = 1;
  int64_t steps_ = 0;  // in this episode
  bool running_ = false;
};

/// The termination function of an environment without terminal states. See TerminationFunction.
void NeverTerminal(std::span<const float> next_observations, int64_t obs_dim,
                   std::span<uint8_t> out);

/// Makes a registered environment as a simulation that can be put into any state. NOT_FOUND as
/// MakeEnvironment.
absl::StatusOr<std::unique_ptr<Simulation>> MakeSimulation(const std::string& name,
                                                           const EnvironmentOptions& options = {});

}  // namespace tandem
