#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/spec.h"
#include "common/env/space_layout.h"

namespace tandem {

/// What one step of one environment gave.
struct StepResult {
  float reward = 0;
  bool terminated = false;  ///< Reached a terminal state.
  bool truncated = false;   ///< Cut off by the time limit.

  /// The episode is over.
  bool ended() const { return terminated || truncated; }
};

/// One simulation. Not thread-safe. Deterministic: the same seed and actions give the same steps.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual const EnvironmentSpec& spec() const = 0;
  /// What the flat rows of `spec` mean; by default one array of real numbers each.
  virtual SpaceLayout observation_layout() const;
  virtual SpaceLayout action_layout() const;
  /// Starts an episode and writes its first observation, [obs_dim]. A seed restarts the random
  /// stream; without one it goes on (as in Gymnasium).
  virtual absl::Status Reset(std::optional<uint64_t> seed, std::span<float> observation) = 0;
  /// Applies `action`, [action_dim], clipped to the action space, and writes the observation after
  /// it, also where the episode ends. FAILED_PRECONDITION after the end of an episode until Reset;
  /// INVALID_ARGUMENT for a wrong size or an action that is not finite; INTERNAL when the
  /// simulation diverges (a number is not finite).
  virtual absl::StatusOr<StepResult> Step(std::span<const float> action,
                                          std::span<float> observation) = 0;
  /// From the next Reset on, draws start states from a range `scale` times as wide about the same
  /// centre, scale > 0. FAILED_PRECONDITION where the environment has no such range.
  virtual absl::Status WidenStart(double scale);
};

/// What WidenStart answers where there is no range: FAILED_PRECONDITION.
absl::Status NoStartRange(const EnvironmentSpec& spec);

/// Whether each next observation is terminal: the published termination function of a task, used in
/// imagination where the model does not learn it. Pure. next_observations: [B, obs_dim]; out: [B].
using TerminationFunction = void (*)(std::span<const float> next_observations, int64_t obs_dim,
                                     std::span<uint8_t> out);

/// Overrides of an environment's defaults.
struct EnvironmentOptions {
  int64_t max_episode_steps = 0;  ///< 0: the environment's own limit.
};

/// Makes a registered environment. NOT_FOUND names the nearest registered name and lists them all.
absl::StatusOr<std::unique_ptr<Environment>> MakeEnvironment(
    const std::string& name, const EnvironmentOptions& options = {});

/// All registered names, sorted.
std::vector<std::string> EnvironmentNames();

/// The registered name of a task of Gymnasium, such as "hopper" for "Hopper-v5", with its default
/// arguments; none where no registered environment is that task. What is published for the name
/// then holds for Gymnasium's environment too.
std::optional<std::string> BuiltInNameOf(const std::string& gymnasium_id);
/// The Gymnasium id, such as "Hopper-v5", of a registered environment that has a twin there.
std::optional<std::string> GymnasiumIdOf(const std::string& name);

/// The termination function of a registered environment, also by the name "gym:" and the
/// Gymnasium id of the same task; FAILED_PRECONDITION where it publishes none, NOT_FOUND where the
/// name is unknown.
absl::StatusOr<TerminationFunction> KnownTermination(const std::string& name);

}  // namespace tandem
