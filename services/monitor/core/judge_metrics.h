#pragma once

#include <map>
#include <string>
#include <utility>

#include "common/coadaptation/controller.h"
#include "common/coadaptation/verdict.h"
#include "common/metrics/registry.h"

namespace tandem::monitor {

/// The metrics of verdict and controller, made once; docs/metrics.md describes each. Thread-safe.
class JudgeMetrics {
 public:
  explicit JudgeMetrics(metrics::Registry& registry);

  void ShowVerdict(coadaptation::Verdict verdict);
  /// Evidence, score and signal. clipped_share: of the values that evidence was made of.
  void ShowJudgement(const coadaptation::Judgement& judgement, double clipped_share);
  /// state: "off", or a ControllerStateName.
  void ShowController(const coadaptation::Controller& controller, const std::string& state);
  void CountAction(const coadaptation::Action& action);

  metrics::Gauge& checkpoints;
  metrics::Counter& alarms;
  metrics::Counter& history_failures;
  metrics::Gauge& directive_version;

 private:
  metrics::Gauge& evidence_;
  metrics::Gauge& evidence_negative_;
  metrics::Gauge& early_;
  metrics::Gauge& evidence_early_;
  metrics::Gauge& threshold_;
  metrics::Gauge& clipped_;
  metrics::Gauge& score_;
  std::map<coadaptation::Verdict, metrics::Gauge*> verdicts_;
  std::map<std::string, metrics::Gauge*> signals_;
  std::map<std::string, metrics::Gauge*> states_;
  std::map<coadaptation::Knob, metrics::Gauge*> values_;
  std::map<std::pair<coadaptation::Knob, bool>, metrics::Counter*> actions_;
};

}  // namespace tandem::monitor
