#pragma once

#include "services/monitor/core/judge.h"
#include "services/monitor/core/monitor.h"
#include "services/monitor/web/dashboard.h"

namespace tandem::monitor {

/// What a dashboard shows of this monitor; both outlive the source.
DashboardSource SourceOf(Monitor* monitor, Judge* judge);

}  // namespace tandem::monitor
