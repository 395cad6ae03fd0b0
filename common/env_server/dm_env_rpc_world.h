#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/env_server/environment_host.h"
#include "dm_env_rpc/v1/dm_env_rpc.pb.h"

namespace tandem::env_server {

/// One environment as an agent of dm_env_rpc sees it. Observations have the ids 1, 2, ... in the
/// order of their leaves, then "reward" and "discount", which is 0 where a terminal state was
/// reached and 1 elsewhere; actions have 1, 2, ... An action that is left out is the number within
/// its bounds that is nearest to 0, or the first choice.
///
/// A termination is TERMINATED, a time limit INTERRUPTED. Not thread-safe.
class DmEnvRpcWorld {
 public:
  /// env: one. host outlives this.
  DmEnvRpcWorld(const EnvironmentHost& host, HostedEnvironments env, std::optional<uint64_t> seed);

  const dm_env_rpc::v1::ActionObservationSpecs& specs() const { return specs_; }

  /// INVALID_ARGUMENT, and nothing has happened, for an id that there is not and for actions of a
  /// wrong type or shape or out of bounds; INTERNAL where the simulation diverged, whose episode is
  /// over. The step that begins an episode does not look at the actions.
  absl::Status Step(const dm_env_rpc::v1::StepRequest& request,
                    dm_env_rpc::v1::StepResponse* response);
  /// The next step begins an episode. A seed restarts the random stream.
  void Reset(std::optional<uint64_t> seed);
  /// The same for an agent that has not asked for it: an episode that goes on is told to be
  /// INTERRUPTED first.
  void Interrupt(std::optional<uint64_t> seed);

 private:
  absl::Status CheckRequested(const dm_env_rpc::v1::StepRequest& request) const;
  absl::Status TakeActions(const dm_env_rpc::v1::StepRequest& request);
  absl::Status Begin();
  void WriteObservations(const dm_env_rpc::v1::StepRequest& request, float reward, float discount,
                         dm_env_rpc::v1::StepResponse* response) const;

  const EnvironmentHost& host_;
  const HostedEnvironments env_;
  dm_env_rpc::v1::ActionObservationSpecs specs_;
  std::optional<uint64_t> seed_;  // of the next reset
  bool running_ = false;
  bool interrupted_ = false;
  std::vector<std::string> neutral_;  // one for each leaf of the action
  std::vector<float> observation_;    // [obs]
  std::vector<float> action_;         // [action]
};

}  // namespace tandem::env_server
