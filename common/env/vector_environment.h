#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/env/environment.h"

namespace tandem {

/// What became of one environment in one call of Step or ResetAll.
enum class Outcome : uint8_t {
  kStepped,  ///< It took the step.
  kLost,     ///< It failed: the step does not count, its episode ended with the step before.
  kAbsent,   ///< It is being restarted; there is no observation.
  kStarted,  ///< It begins an episode; an action was ignored.
};

/// Why an environment failed.
enum class FaultKind : uint8_t {
  kException,   ///< It raised an exception.
  kCrashed,     ///< Its process died.
  kHung,        ///< It did not answer in time.
  kNotFinite,   ///< It gave a number that is not finite.
  kWrongShape,  ///< It gave an array of another shape or type than its space.
  kVanished,    ///< Its server is gone.
};

/// "crashed", "hung", ...: also a metric's label.
std::string_view FaultName(FaultKind kind);

struct EnvironmentFault {
  int env = 0;  ///< Which one, from 0.
  FaultKind kind = FaultKind::kException;
  std::string message;  ///< What happened; the last lines of its stderr where known.
};

/// N copies of one environment stepped as a batch, here or behind a server. An environment whose
/// episode ended is reset at once: `observations` then holds the first observation of its next
/// episode, and `final_observations` the last one of the episode that ended.
///
/// An environment that fails is no error: it is kLost, then kAbsent while it is being restarted,
/// with growing pauses, then kStarted; the others go on. Where none of them runs, Step waits up to
/// 100 ms. Where the episode after one that ended cannot begin, the step that ended it counts, and
/// the next one is kLost.
///
/// Not thread-safe but for Stop(). Deterministic, as far as its environments are: each has its own
/// seeded stream, so results depend neither on N nor on threads.
class VectorEnvironment {
 public:
  virtual ~VectorEnvironment() = default;

  const EnvironmentSpec& spec() const { return spec_; }
  int num_envs() const { return static_cast<int>(outcomes_.size()); }

  /// Starts a new episode in every environment (kStarted, or kAbsent where it failed). A seed
  /// restarts every random stream, so that what follows is a pure function of it; environment i
  /// gets EnvironmentSeed(seed, i). CANCELLED after Stop().
  virtual absl::Status ResetAll(std::optional<uint64_t> seed) = 0;
  /// The same without a seed: the random streams go on.
  absl::Status ResetAll() { return ResetAll(std::nullopt); }
  /// Environment::WidenStart of every environment; FAILED_PRECONDITION where it cannot.
  virtual absl::Status WidenStart(double scale);
  /// actions: [num_envs, action_dim]; rows of environments that do not run are ignored.
  /// INVALID_ARGUMENT for a wrong size; CANCELLED after Stop(); anything else is for good.
  virtual absl::Status Step(std::span<const float> actions) = 0;
  /// Ends a wait in Step or ResetAll, and makes every later call CANCELLED. Thread-safe.
  virtual void Stop() {}

  std::span<const float> observations() const { return observations_; }              ///< [N, obs]
  std::span<const float> final_observations() const { return final_observations_; }  ///< [N, obs]
  std::span<const StepResult> results() const { return results_; }  ///< [N], where kStepped.
  std::span<const Outcome> outcomes() const { return outcomes_; }   ///< [N] of the last call.

  /// The failures since the last call of this.
  std::vector<EnvironmentFault> TakeFaults();

 protected:
  VectorEnvironment(EnvironmentSpec spec, int num_envs);

  /// INVALID_ARGUMENT unless there are [num_envs, action_dim] numbers.
  absl::Status CheckActions(std::span<const float> actions) const;
  std::span<float> observation(int env);        ///< [obs_dim]
  std::span<float> final_observation(int env);  ///< [obs_dim]

  EnvironmentSpec spec_;
  std::vector<float> observations_;
  std::vector<float> final_observations_;
  std::vector<StepResult> results_;
  std::vector<Outcome> outcomes_;
  std::vector<EnvironmentFault> faults_;
};

/// Seed of environment `env` among those of a vector environment seeded with `seed`.
uint64_t EnvironmentSeed(uint64_t seed, int env);

}  // namespace tandem
