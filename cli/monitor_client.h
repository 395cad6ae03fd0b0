#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tandem/monitor/v1/monitor.pb.h"

namespace tandem::cli {

/// Asks the monitor for its figures, and turns its knobs. Thread-safe.
class MonitorClient {
 public:
  virtual ~MonitorClient() = default;
  /// The latest report; waits at most `timeout`.
  virtual absl::StatusOr<monitor::v1::GetReportResponse> GetReport(absl::Duration timeout) = 0;
  /// Sets or clears a knob by hand; errors: see tandem.monitor.v1.MonitorService.
  virtual absl::StatusOr<monitor::v1::SetOverrideResponse> SetOverride(
      const monitor::v1::SetOverrideRequest& request, absl::Duration timeout) = 0;
};

/// Connects lazily: an absent monitor is UNAVAILABLE on each call.
std::unique_ptr<MonitorClient> ConnectMonitor(const std::string& address);

}  // namespace tandem::cli
