#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/stop_signal.h"
#include "common/env/vector_environment.h"
#include "common/env/worker_team.h"

namespace tandem {

/// Environments of this process, stepped by `threads` threads, the caller's among them (1: the
/// caller's alone). A step allocates nothing. One that gives a number that is not finite is kLost,
/// and begins again in the next step. An error that is none of divergence is for good.
class LocalVectorEnvironment : public VectorEnvironment {
 public:
  struct Options {
    int num_envs = 1;  ///< >= 1.
    int threads = 1;   ///< >= 1; no more than num_envs are used.
    uint64_t seed = 0;
    EnvironmentOptions environment;
  };
  /// Starts an episode in each. NOT_FOUND for an unknown name.
  static absl::StatusOr<std::unique_ptr<VectorEnvironment>> Create(const std::string& name,
                                                                   const Options& options);
  /// The same from given environments, at least one, all of one spec.
  static absl::StatusOr<std::unique_ptr<VectorEnvironment>> Create(
      std::vector<std::unique_ptr<Environment>> envs, int threads, uint64_t seed);

  absl::Status ResetAll(std::optional<uint64_t> seed) override;
  absl::Status WidenStart(double scale) override;
  absl::Status Step(std::span<const float> actions) override;
  void Stop() override;

 private:
  LocalVectorEnvironment(std::vector<std::unique_ptr<Environment>> envs, int threads);

  /// Steps or restarts environments [begin, end) with actions_.
  void StepRange(int begin, int end);
  void StepOne(int env);
  /// Starts an episode of one of them; false where that failed.
  bool Restart(int env, std::optional<uint64_t> seed);
  void Fail(int env, const absl::Status& status);
  /// Turns the errors of the last call into faults; returns the first that is for good.
  absl::Status TakeErrors();

  std::vector<std::unique_ptr<Environment>> envs_;
  std::span<const float> actions_;    // of the step under way
  std::vector<uint8_t> unstarted_;    // [num_envs] 1: its episode ended and the next did not start
  std::vector<absl::Status> errors_;  // [num_envs] of the call under way
  std::atomic<bool> failed_{false};   // one of errors_ is none of OK
  StopSignal stop_;
  std::unique_ptr<WorkerTeam> team_;  // null: the caller steps alone; goes first, it uses the rest
};

}  // namespace tandem
