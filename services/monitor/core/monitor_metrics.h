#pragma once

#include <map>
#include <string>

#include "common/coadaptation/verdict.h"
#include "common/metrics/registry.h"
#include "services/monitor/core/report.h"
#include "services/monitor/core/return_comparer.h"

namespace tandem::monitor {

/// The monitor's metrics, made once; docs/metrics.md describes each. Thread-safe.
class MonitorMetrics {
 public:
  explicit MonitorMetrics(metrics::Registry& registry);

  /// Sets every gauge that shows a figure of the report.
  void Show(const Report& report);
  void CountComparison(ReturnComparer::Outcome outcome);

  metrics::Counter& scored;
  metrics::Counter& dropped_overflow;
  metrics::Counter& dropped_no_model;
  metrics::Counter& dropped_nonfinite;
  metrics::Counter& model_failures;
  metrics::Counter& policy_failures;
  metrics::Gauge& last_update;
  metrics::Gauge& waiting;
  metrics::Histogram& policy_lag;
  metrics::Histogram& tick_duration;

 private:
  metrics::Gauge& index_;
  metrics::Gauge& bias_reward_;
  metrics::Gauge& bias_dynamics_;
  metrics::Gauge& bias_termination_;
  metrics::Gauge& residual_;
  metrics::Gauge& model_return_;
  metrics::Gauge& real_return_;
  metrics::Gauge& gap_;
  metrics::Gauge& scale_;
  metrics::Gauge& error_ratio_;
  metrics::Gauge& error_fresh_;
  metrics::Gauge& error_heldout_;
  metrics::Gauge& model_age_;
  metrics::Gauge& window_;
  std::map<coadaptation::Verdict, metrics::Gauge*> verdicts_;
  std::map<ReturnComparer::Outcome, metrics::Counter*> comparisons_;
};

}  // namespace tandem::monitor
