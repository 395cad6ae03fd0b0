#include "services/monitor/web/monitor_source.h"

namespace tandem::monitor {

DashboardSource SourceOf(Monitor* monitor, Judge* judge) {
  DashboardSource source = SourceOf(judge);
  source.report = [monitor] { return monitor->GetReport(); };
  return source;
}

}  // namespace tandem::monitor
