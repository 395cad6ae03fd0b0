#include "services/monitor/web/monitor_source.h"

namespace tandem::monitor {

DashboardSource SourceOf(Monitor* monitor, Judge* judge) {
  DashboardSource source = SourceOf(judge);
  source.live = [monitor] {
    const Report report = monitor->GetReport();
    LiveFigures live;
    live.env_steps = report.env_steps;
    live.fresh_steps_scored = report.fresh_steps_scored;
    live.fresh_steps_dropped = report.fresh_steps_dropped;
    live.model_version = report.model_version;
    live.policy_version = report.policy_version;
    live.model_age_env_steps = report.model_age_env_steps;
    live.policy_lag_updates = report.policy_lag_updates;
    live.training_return = report.training_return;
    live.evaluation_return = report.evaluation_return;
    return live;
  };
  return source;
}

}  // namespace tandem::monitor
