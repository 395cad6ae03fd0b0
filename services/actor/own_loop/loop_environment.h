#pragma once

#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/env/vector_environment.h"

namespace tandem::actor {

/// An environment turned inside out: the simulator calls us. Its thread calls Begin, Act and
/// Record; the actor's thread sees a vector environment of one and waits in it for the simulator.
///
/// Both sides block until the other has done its part; Stop() ends every wait with CANCELLED.
class LoopEnvironment : public VectorEnvironment {
 public:
  explicit LoopEnvironment(EnvironmentSpec spec);

  // The simulator's thread.

  /// An episode begins with this observation, [obs_dim]. Where one is open, it is cut off with its
  /// last step. INVALID_ARGUMENT for a wrong size or a number that is not finite, as in Record.
  absl::Status Begin(std::span<const float> observation);
  /// Waits for the action to take now, [action_dim]; it holds until the next call.
  /// FAILED_PRECONDITION where no episode is open, or the last action has no Record yet.
  absl::StatusOr<std::span<const float>> Act();
  /// What came of the action. FAILED_PRECONDITION where there is none.
  absl::Status Record(float reward, std::span<const float> observation, bool terminated,
                      bool truncated);

  // The actor's thread.

  /// Waits for Begin; where an episode is open, its next step begins one. Seeds are the simulator's
  /// business and are not passed on.
  absl::Status ResetAll(std::optional<uint64_t> seed) override;
  /// Hands the action over and waits for Record: kStepped, also where the episode ended. The step
  /// after that waits for Begin and is kStarted. An episode that the simulator leaves is kLost, the
  /// next one then kStarted.
  absl::Status Step(std::span<const float> actions) override;
  void Stop() override;

 private:
  /// Whose turn it is, and to do what.
  enum class Turn {
    kBegin,   ///< The simulator's: no episode is open.
    kChoose,  ///< The actor's: an action is wanted.
    kAct,     ///< The simulator's: the action waits to be taken.
    kRecord,  ///< The simulator's: it has the action.
  };

  absl::Status CheckObservation(std::span<const float> observation) const;
  /// Waits until `ready()`; CANCELLED after Stop().
  template <typename Ready>
  absl::Status Await(Ready ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  /// The open episode shows itself to the actor as one that begins.
  void Start() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Mutex mu_;
  CondVar changed_;
  Turn turn_ ABSL_GUARDED_BY(mu_) = Turn::kBegin;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool left_ ABSL_GUARDED_BY(mu_) = false;  // Begin came in the middle of an episode
  std::vector<float> action_ ABSL_GUARDED_BY(mu_);
  std::vector<float> taken_;                     // what Act() gave: the simulator's thread alone
  std::vector<float> now_ ABSL_GUARDED_BY(mu_);  // the last observation
  // What the last Record told, until Step has taken it.
  bool recorded_ ABSL_GUARDED_BY(mu_) = false;
  StepResult result_ ABSL_GUARDED_BY(mu_);
  std::vector<float> after_ ABSL_GUARDED_BY(mu_);
};

}  // namespace tandem::actor
