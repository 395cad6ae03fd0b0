#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/clients/dm_env_rpc_connection.h"
#include "common/clients/patience.h"

namespace tandem::clients {

/// Opens new connections in place of those that are lost, one after the other in a thread of its
/// own, each again and again with pauses that grow from 0.1 s to 30 s, also where opening succeeds
/// and what was opened is soon lost again. Thread-safe.
class DmEnvRpcRecovery {
 public:
  /// A connection whose specs are not `expected` ends the recovery for good.
  DmEnvRpcRecovery(std::shared_ptr<const DmEnvRpcServer> server, DmEnvRpcSpecs expected);
  /// Calls Stop() and waits for the thread.
  ~DmEnvRpcRecovery();

  /// Starts the work for one environment. lost: the world to be destroyed first; empty: none.
  /// healthy: it has run well since it was opened, so that the first try comes at once.
  void Reopen(int env, uint64_t seed, std::string lost, bool healthy);
  /// The new connection of an environment, the first step of an episode answered; null: not yet.
  std::unique_ptr<DmEnvRpcConnection> Take(int env);
  /// Ends the work for one environment, whether it is done or not.
  void Forget(int env);
  /// Waits until a connection can be taken, at most `timeout`.
  void Await(absl::Duration timeout);
  /// Why there will be no more connections; OK while there may be.
  absl::Status status() const;
  /// Failures of tries since the last call, one in 5 s at most for each environment.
  std::vector<EnvironmentFault> TakeFaults();
  /// Ends the try under way and every later one.
  void Stop();

 private:
  struct Job {
    uint64_t number = 0;
    uint64_t seed = 0;
    std::string lost;
    absl::Duration next_try;
    absl::Duration next_fault;
  };

  void Run();
  /// A connection with its first step answered; that of other specs as it is.
  absl::StatusOr<std::unique_ptr<DmEnvRpcConnection>> Try(uint64_t seed, const std::string& lost);
  absl::Status CheckSpecs(const DmEnvRpcSpecs& specs) const;
  void Conclude(int env, uint64_t number,
                absl::StatusOr<std::unique_ptr<DmEnvRpcConnection>> opened);

  const std::shared_ptr<const DmEnvRpcServer> server_;
  const DmEnvRpcSpecs expected_;
  const std::shared_ptr<rpc::CallSet> calls_;
  mutable Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t jobs_started_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<int, Job> jobs_ ABSL_GUARDED_BY(mu_);
  std::map<int, RetryPace> paces_ ABSL_GUARDED_BY(mu_);  // of the environments, over all their jobs
  std::map<int, std::unique_ptr<DmEnvRpcConnection>> ready_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  std::vector<EnvironmentFault> faults_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

/// What kind of failure a connection's error is.
FaultKind KindOf(const absl::Status& status, bool refused);

}  // namespace tandem::clients
