#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "cli/member_client.h"
#include "cli/monitor_client.h"
#include "common/base/mutex.h"
#include "common/clients/replay_client.h"

namespace tandem::cli {

/// The newest figures of a run. Absent: not answered yet.
struct RunFigures {
  std::optional<ReplayStatus> replay;
  std::optional<monitor::v1::GetReportResponse> monitor;
  std::string replay_error;  ///< Why the replay buffer did not answer last time; empty: it did.
  std::string monitor_error;
  TroubleMap troubles;  ///< As each member last said.
};

/// Asks all once; waits at most a few seconds.
void Refresh(ReplayClient& replay, MonitorClient& monitor, MemberClient& members,
             RunFigures* figures);

/// Asks the replay buffer and the monitor for their figures, and every member for its troubles,
/// again and again, on a thread of its own, so that a slow answer never holds up who supervises.
/// Thread-safe.
class RunWatch {
 public:
  RunWatch(std::unique_ptr<ReplayClient> replay, std::unique_ptr<MonitorClient> monitor,
           std::unique_ptr<MemberClient> members, absl::Duration interval);
  /// Cancels what is under way and joins the thread.
  ~RunWatch();

  RunFigures Latest();

 private:
  void Loop();

  const std::unique_ptr<ReplayClient> replay_;
  const std::unique_ptr<MonitorClient> monitor_;
  const std::unique_ptr<MemberClient> members_;
  const absl::Duration interval_;
  Mutex mu_;
  CondVar wake_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  RunFigures figures_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace tandem::cli
