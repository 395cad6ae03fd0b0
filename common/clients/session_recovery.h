#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/clients/environment_server.h"
#include "common/clients/patience.h"

namespace tandem::clients {

/// Opens a new session in place of one that is lost, in a thread of its own, again and again with
/// pauses of the given pace, until it stands or the server refuses it for good. The thread ends
/// soon after calls->Stop(); the destructor waits for that, and gives back what nobody took.
/// Thread-safe.
class SessionRecovery {
 public:
  struct Options {
    std::shared_ptr<EnvironmentServer> server;
    std::shared_ptr<rpc::CallSet> calls;

    SessionOrder order;
    RetryPace& pace;  ///< Outlives this, and is of nobody else until this is destroyed.
  };
  explicit SessionRecovery(Options options);
  /// Waits for the thread, and 1 s at most for the server: stop the calls first.
  ~SessionRecovery();

  /// Waits for the end, at most `timeout`; nullopt where it has not come. The new session, once; or
  /// why there will be none.
  std::optional<absl::StatusOr<OpenedSession>> Take(absl::Duration timeout);
  /// Failures of tries since the last call, one in 5 s at most: a server that stays away is a fault
  /// again and again.
  std::vector<EnvironmentFault> TakeFaults();

 private:
  void Run();
  void TellFault(const absl::Status& status, uint64_t incarnation);

  const Options options_;
  absl::Duration next_fault_;  // the thread's own
  Mutex mu_;
  CondVar changed_;
  bool taken_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::StatusOr<OpenedSession>> result_ ABSL_GUARDED_BY(mu_);
  std::vector<EnvironmentFault> faults_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace tandem::clients
