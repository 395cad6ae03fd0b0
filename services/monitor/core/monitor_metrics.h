#pragma once

#include <utility>
#include <vector>

#include "common/coadaptation/checkpoint.h"
#include "common/metrics/registry.h"
#include "services/monitor/core/gap_survey.h"

namespace tandem::monitor {

/// The monitor's metrics but those of the verdict, made once; docs/metrics.md describes each.
/// Thread-safe.
class MonitorMetrics {
 public:
  explicit MonitorMetrics(metrics::Registry& registry);

  /// Sets every gauge that shows a number of a checkpoint; NaN where it is not known.
  /// Those of the joint objective are made with the first checkpoint that has it.
  void Show(const coadaptation::Checkpoint& checkpoint);
  void CountComparison(PairOutcome outcome);

  metrics::Counter& scored;
  metrics::Counter& clipped;
  metrics::Counter& dropped_overflow;
  metrics::Counter& dropped_no_model;
  metrics::Counter& dropped_nonfinite;
  metrics::Counter& dropped_old_policy;
  metrics::Counter& model_failures;
  metrics::Counter& policy_failures;
  metrics::Gauge& last_update;
  metrics::Gauge& waiting;
  metrics::Histogram& policy_lag;
  metrics::Histogram& survey_duration;

 private:
  void AddJoint();

  metrics::Registry& registry_;
  bool joint_ = false;
  metrics::Counter& compared_;
  metrics::Counter& policy_gone_;
  metrics::Counter& too_long_;
  std::vector<std::pair<double coadaptation::Checkpoint::*, metrics::Gauge*>> figures_;
};

}  // namespace tandem::monitor
