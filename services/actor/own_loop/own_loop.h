#pragma once

#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/env/vector_environment.h"

namespace tandem::actor {

/// An actor for a program that owns its loop: a robot, a game, a simulator that calls rather than
/// is called. It asks for actions and tells what came of them; policies, pace, exactly-once storage
/// and directives are the actor's, on a thread of its own.
///
///   auto loop = OwnLoop::Start(options);
///   (*loop)->Begin(robot.Reset());
///   for (;;) {
///     const auto action = (*loop)->Act();
///     if (!action.ok()) break;  // CANCELLED: the run is over
///     const auto step = robot.Step(*action);
///     (*loop)->Record(step.reward, step.observation, step.terminated, step.truncated);
///     if (step.terminated || step.truncated) (*loop)->Begin(robot.Reset());
///   }
///
/// Begin, Act and Record from one thread.
class OwnLoop {
 public:
  struct Options {
    std::string name = "own_loop";  ///< Of its own among the run's actors.
    std::string replay_buffer;      ///< Address.
    std::string policy_trainer;     ///< Address.
    std::string monitor;            ///< Address; empty: its directives are not followed.
    EnvironmentSpec spec;
    uint64_t seed = 0;
    /// Plays evaluations, when the run asks for them; null: only runs with
    /// actor.evaluation_interval=0 can be served.
    std::unique_ptr<VectorEnvironment> evaluation;
    int64_t evaluation_interval = 0;  ///< The run's actor.evaluation_interval [steps].
  };

  /// Connects in the background: absent services are waited for. INVALID_ARGUMENT for a bad spec.
  static absl::StatusOr<std::unique_ptr<OwnLoop>> Start(Options options);
  /// Ends the actor; steps that it has not yet appended are lost, at most 256.
  virtual ~OwnLoop() = default;

  /// See LoopEnvironment for the three of them. After the run is over, or the actor has failed,
  /// they give CANCELLED; Finish() tells which.
  virtual absl::Status Begin(std::span<const float> observation) = 0;
  virtual absl::StatusOr<std::span<const float>> Act() = 0;
  virtual absl::Status Record(float reward, std::span<const float> observation, bool terminated,
                              bool truncated) = 0;

  /// Ends the actor and waits for it: OK, or why it failed.
  virtual absl::Status Finish() = 0;
};

}  // namespace tandem::actor
