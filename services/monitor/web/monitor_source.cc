#include "services/monitor/web/monitor_source.h"

namespace tandem::monitor {

DashboardSource SourceOf(Monitor* monitor, Judge* judge) {
  DashboardSource source;
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
  source.judgement = [judge] { return judge->Report(); };
  source.history = [judge](int64_t from_checkpoint, int64_t from_event, size_t most) {
    return judge->ReadHistory(from_checkpoint, from_event, most);
  };
  if (judge->allows_overrides()) {
    source.set_override = [judge](coadaptation::Knob knob, std::optional<double> value,
                                  const std::string& token, const std::string& reason) {
      return judge->SetOverride(knob, value, token, reason).status();
    };
  }
  return source;
}

}  // namespace tandem::monitor
