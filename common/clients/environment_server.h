#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clients/env_messages.h"
#include "common/clients/environment_process.h"
#include "common/clients/environment_session.h"
#include "common/clients/environments.h"
#include "common/rpc/call_scope.h"
#include "tandem/env/v1/env.grpc.pb.h"

namespace tandem::clients {

/// A session that was just opened, and its first reset.
struct OpenedSession {
  std::unique_ptr<EnvironmentSession> session;
  uint64_t incarnation = 0;  ///< Of the server's process; 0 where it is not ours.
  env::v1::StepResponse first;
  absl::Duration took;  ///< To make and to reset the environments.
};

/// What a new session is to be.
struct SessionOrder {
  ServedEnvironment expected;
  int num_envs = 1;
  uint64_t seed = 0;
  int64_t max_episode_steps = 0;  ///< 0: the environment's own.
  std::string lost;  ///< A session to be closed first, so that its environments are free again.
  absl::Duration timeout;  ///< That making all of them may take, and resetting them as well.
};

/// The longest that a request to a session may take in which each of its environments may take
/// `each`: it has them one after the other, as many at a time as it has workers.
absl::Duration BatchTime(const ServedEnvironment& served, int num_envs, absl::Duration each);

/// What the client adds to that: a server that isolates its environments tells which one hangs.
absl::Duration AnswerMargin(const ServedEnvironment& served);

/// A server of tandem.env.v1, with its process where that is ours, as all the vector environments
/// of one provider share it. Thread-safe; what blocks takes a rpc::CallSet, whose Stop() ends it.
class EnvironmentServer {
 public:
  /// process: may be null; `address` is its own then.
  EnvironmentServer(const EnvironmentSource& source, const std::string& address,
                    std::unique_ptr<EnvironmentProcess> process);

  const EnvironmentSource& source() const { return source_; }
  /// "environments at ADDRESS", for messages.
  const std::string& peer() const { return peer_; }
  const std::string& address() const { return address_; }
  /// Null where the process is not ours.
  EnvironmentProcess* process() const { return process_.get(); }

  /// Asks what is served, waiting for a server up to reset_timeout. UNAVAILABLE, with its last
  /// words where the process is ours, where none answers; at once where that ends before it has
  /// ever answered. UNIMPLEMENTED for another protocol; INVALID_ARGUMENT for a description that
  /// makes no sense; CANCELLED after calls->Stop().
  absl::StatusOr<ServedEnvironment> AwaitDescription(const std::shared_ptr<rpc::CallSet>& calls);

  /// Opens a session and resets it. One try; blocks up to twice the order's timeout and
  /// twice reset_timeout. FAILED_PRECONDITION where other spaces are served than expected;
  /// RESOURCE_EXHAUSTED where the server has no more environments; INVALID_ARGUMENT where it
  /// refuses the arguments. A process of ours that does not answer in time is killed.
  absl::StatusOr<OpenedSession> OpenSession(const std::shared_ptr<rpc::CallSet>& calls,
                                            const SessionOrder& order);
  /// OpenSession of a client that has no session yet, tried again for max(reset_timeout, 90 s)
  /// while the server is away, or has no room: that of a client that died is free again only when
  /// its sessions expire.
  absl::StatusOr<OpenedSession> OpenFirstSession(const std::shared_ptr<rpc::CallSet>& calls,
                                                 const SessionOrder& order);
  /// Gives a session back. Blocks 1 s at most.
  void CloseSession(const std::string& id) { EnvironmentSession::Close(*stub_, id); }

  /// Environments in the sessions of this client.
  int held() const { return held_; }
  /// Counts `num_envs` more of them, or fewer where that is negative.
  void Hold(int num_envs) { held_ += num_envs; }

  /// Whether the process in which a session was opened has ended; false where it is not ours.
  bool Gone(uint64_t incarnation) const;
  /// Says why a call to a session failed. A process of ours that hangs is killed.
  EnvironmentFault Explain(const absl::Status& status, uint64_t incarnation);

 private:
  absl::StatusOr<ServedEnvironment> Describe(const std::shared_ptr<rpc::CallSet>& calls,
                                             absl::Duration timeout);

  absl::StatusOr<OpenedSession> TryOpen(const std::shared_ptr<rpc::CallSet>& calls,
                                        const SessionOrder& order, uint64_t incarnation);

  const EnvironmentSource source_;
  const std::string address_;
  const std::string peer_;
  const std::unique_ptr<EnvironmentProcess> process_;
  const std::unique_ptr<env::v1::VectorEnvService::Stub> stub_;
  std::atomic<int> held_{0};
};

/// INVALID_ARGUMENT where the answers to a batch of num_envs, or its arrays here, are too large.
absl::Status CheckRoom(const ServedEnvironment& served, int num_envs);

/// What a session's first request asks for: a reset of all environments. seed: as for ResetAll.
void FillReset(int num_envs, std::optional<uint64_t> seed, env::v1::StepRequest* request);

}  // namespace tandem::clients
