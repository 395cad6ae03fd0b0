#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/server_runner.h"
#include "services/monitor/core/monitor.h"
#include "services/monitor/web/dashboard.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::monitor {

/// All that the process needs to know, from the config of the run.
struct ServiceOptions {
  MonitorOptions monitor;
  rpc::ServerOptions server;  ///< Without services and registry, which main() makes.
  std::string member;
  std::string replay_buffer;  ///< Addresses of the peers.
  std::string model_trainer;
  std::string policy_trainer;
  std::string device;
  JudgeOptions judge;
  DashboardOptions dashboard;
  absl::Duration drain = absl::Seconds(4);
};

/// Picks the monitor's part of a resolved config. INVALID_ARGUMENT where an address is missing or
/// control.knobs has a name that is no knob's, FAILED_PRECONDITION where the config wants a device
/// that is not there.
absl::StatusOr<ServiceOptions> OptionsFrom(const config::v1::RunConfig& config);

}  // namespace tandem::monitor
