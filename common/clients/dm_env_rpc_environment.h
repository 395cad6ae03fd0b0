#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clients/dm_env_rpc_recovery.h"
#include "common/clients/environments.h"
#include "common/env/vector_environment.h"

namespace tandem::clients {

/// A provider of the environments of a dm_env_rpc v1 server; source.server is "dm_env_rpc:" and its
/// address. As EnvironmentProvider::Create otherwise.
absl::StatusOr<std::unique_ptr<EnvironmentProvider>> ConnectDmEnvRpc(
    const EnvironmentSource& source);

/// Environments behind a server of dm_env_rpc v1: N streams, each with a world of its own, stepped
/// as a batch that waits once. The step that begins an episode, whose action counts for nothing, is
/// taken along with the one that ended the episode before.
///
/// TERMINATED is a terminal state, unless there is a discount that is above 0; INTERRUPTED is a cut
/// off episode. The limit of an episode is kept by this client.
///
/// A stream that breaks, hangs or answers an error or nonsense loses its own environment alone,
/// which gets a new stream and world. A Step with an error that is for good: the server came back
/// with other specs (FAILED_PRECONDITION).
class DmEnvRpcVectorEnvironment : public VectorEnvironment {
 public:
  /// Opens num_envs streams and begins an episode in each. max_episode_steps: as for
  /// EnvironmentProvider::Make. The first error of any of them.
  static absl::StatusOr<std::unique_ptr<VectorEnvironment>> Create(
      std::shared_ptr<const DmEnvRpcServer> server, int num_envs, uint64_t seed,
      int64_t max_episode_steps);
  /// Gives the worlds back; blocks about 2 s at most.
  ~DmEnvRpcVectorEnvironment() override;

  absl::Status ResetAll(std::optional<uint64_t> seed) override;
  absl::Status Step(std::span<const float> actions) override;
  void Stop() override;

 private:
  /// One environment.
  struct Copy {
    std::unique_ptr<DmEnvRpcConnection> connection;  // null: being opened anew
    int64_t steps = 0;                               // of the episode
    int64_t good_steps = 0;                          // since it was lost last, over seeded resets
    bool begun = false;                              // an episode goes on
    bool sent = false;                               // a request of the call under way
    bool needs_reset = false;                        // an episode that goes on is to be ended
    bool unstarted = false;  // its episode ended and the next could not begin
  };

  DmEnvRpcVectorEnvironment(std::shared_ptr<const DmEnvRpcServer> server, EnvironmentSpec spec,
                            std::vector<std::unique_ptr<DmEnvRpcConnection>> connections,
                            std::shared_ptr<rpc::CallSet> calls, uint64_t seed);

  void TakeAnswer(int env, DmEnvRpcConnection::TimePoint deadline);
  void TakeReopened(int env);
  /// Begins an episode in each of these, all at a time. One that cannot is lost, and `unstarted`.
  void Restart(const std::vector<int>& envs);
  /// Takes the answer to the first step of an episode, which is to be finite and RUNNING.
  absl::Status TakeFirst(int env);
  void ResetSeeded(int env, uint64_t seed);
  /// Takes an environment out of use, with a fault, and has it opened anew.
  void Lose(int env, Outcome outcome, const absl::Status& why);
  void Blame(int env, FaultKind kind, const std::string& message);
  Copy& copy(int env) { return copies_[static_cast<size_t>(env)]; }
  Outcome& outcome(int env) { return outcomes_[static_cast<size_t>(env)]; }

  const std::shared_ptr<const DmEnvRpcServer> server_;
  const std::shared_ptr<rpc::CallSet> calls_;
  uint64_t seed_;
  uint64_t reopened_ = 0;  // so that no world repeats the episodes of another
  const SpaceLayout action_;
  std::vector<Copy> copies_;
  std::vector<std::string> columns_;
  DmEnvRpcRecovery recovery_;
};

}  // namespace tandem::clients
