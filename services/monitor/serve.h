#pragma once

#include "absl/status/status.h"
#include "services/monitor/options.h"

namespace tandem::monitor {

/// Runs the monitor until a signal asks it to stop: connects to the peers, judges, serves its RPCs
/// and the dashboard, drains. Blocks. The error of what could not be opened or bound. Needs
/// rpc::BlockSignals().
absl::Status Serve(ServiceOptions options);

}  // namespace tandem::monitor
