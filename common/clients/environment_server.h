#pragma once

#include <functional>
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
};

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
  /// makes no sense.
  absl::StatusOr<ServedEnvironment> AwaitDescription(const std::shared_ptr<rpc::CallSet>& calls);

  /// Opens a session of num_envs and resets all of them with seeds of `seed`. One try; blocks up to
  /// a few times reset_timeout. FAILED_PRECONDITION where other spaces are served than `expected`;
  /// RESOURCE_EXHAUSTED where the server has no more environments; INVALID_ARGUMENT where it
  /// refuses the arguments. A process of ours that does not answer in time is killed. `lost`: a
  /// session to be closed first, so that its environments are free again; empty: none.
  absl::StatusOr<OpenedSession> OpenSession(const std::shared_ptr<rpc::CallSet>& calls,
                                            const ServedEnvironment& expected, int num_envs,
                                            uint64_t seed, const std::string& lost);
  /// Gives a session back. Blocks 1 s at most.
  void CloseSession(const std::string& id) { EnvironmentSession::Close(*stub_, id); }

  /// Whether the process in which a session was opened has ended; false where it is not ours.
  bool Gone(uint64_t incarnation) const;
  /// Says why a call to a session failed. A process of ours that hangs is killed.
  EnvironmentFault Explain(const absl::Status& status, uint64_t incarnation);

 private:
  absl::StatusOr<ServedEnvironment> Describe(const std::shared_ptr<rpc::CallSet>& calls,
                                             absl::Duration timeout);
  absl::StatusOr<OpenedSession> TryOpen(const std::shared_ptr<rpc::CallSet>& calls,
                                        const ServedEnvironment& expected, int num_envs,
                                        uint64_t seed, uint64_t incarnation);

  const EnvironmentSource source_;
  const std::string address_;
  const std::string peer_;
  const std::unique_ptr<EnvironmentProcess> process_;
  const std::unique_ptr<env::v1::VectorEnvService::Stub> stub_;
};

/// What a session's first request asks for: a reset of all environments. seed: as for ResetAll.
void FillReset(int num_envs, std::optional<uint64_t> seed, env::v1::StepRequest* request);

}  // namespace tandem::clients
