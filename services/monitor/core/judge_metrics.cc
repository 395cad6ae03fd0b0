#include "services/monitor/core/judge_metrics.h"

#include <cmath>

#include "common/coadaptation/signals.h"

namespace tandem::monitor {

using coadaptation::KnobInfo;
using coadaptation::Verdict;

JudgeMetrics::JudgeMetrics(metrics::Registry& registry)
    : checkpoints(
          registry.AddGauge("tandem_coadaptation_checkpoints", "Checkpoints judged so far.")),
      alarms(registry.AddCounter("tandem_coadaptation_alarms_total", "Alarms confirmed.")),
      history_failures(registry.AddCounter("tandem_monitor_history_failures_total",
                                           "Lines that could not be written to the history.")),
      directive_version(registry.AddGauge("tandem_directive_published_version",
                                          "Version of the directive in force.")),
      evidence_(registry.AddGauge("tandem_coadaptation_evidence_log10",
                                  "log10 of the evidence that the policy exploits its model.")),
      evidence_negative_(
          registry.AddGauge("tandem_coadaptation_evidence_negative_log10",
                            "log10 of the evidence that the model undersells the policy.")),
      early_(registry.AddGauge("tandem_coadaptation_early_alarm",
                               "1 where the alarm is early or confirmed.")),
      evidence_early_(registry.AddGauge("tandem_coadaptation_evidence_early_log10",
                                        "log10 of the evidence against the warning threshold.")),
      threshold_(registry.AddGauge("tandem_coadaptation_evidence_threshold_log10",
                                   "log10 of the evidence at which an alarm is confirmed.")),
      clipped_(registry.AddGauge("tandem_coadaptation_evidence_clipped_ratio",
                                 "Share of values clipped below before they became evidence.")),
      score_(registry.AddGauge("tandem_coadaptation_warning_score_ratio",
                               "How unusual the newest checkpoint is, 0 to 1.")) {
  for (int i = 1; i <= coadaptation::kVerdicts; ++i) {
    const auto verdict = static_cast<Verdict>(i);
    verdicts_[verdict] = &registry.AddGauge("tandem_coadaptation_verdict",
                                            "1 for the verdict in force, 0 for the others.",
                                            {{"verdict", VerdictName(verdict)}});
  }
  const auto add_signal = [&](const char* name) {
    signals_[name] =
        &registry.AddGauge("tandem_coadaptation_signal",
                           "1 for the signal that carries the verdict.", {{"signal", name}});
  };
  for (const coadaptation::Signal signal : coadaptation::kSignals) add_signal(SignalName(signal));
  add_signal(coadaptation::kUndersoldSignal);
  for (const char* state : {"off", "healthy", "warn", "act", "cooldown", "recover"}) {
    states_[state] = &registry.AddGauge("tandem_controller_state",
                                        "1 for the state of the controller.", {{"state", state}});
  }
  for (const KnobInfo& info : coadaptation::Knobs()) {
    values_[info.knob] =
        &registry.AddGauge("tandem_mitigation_knob_value",
                           "Value of a knob that the directive asks for.", {{"knob", info.name}});
    for (const bool against : {true, false}) {
      actions_[{info.knob, against}] =
          &registry.AddCounter("tandem_mitigation_actions_total", "Knobs turned by the controller.",
                               {{"knob", info.name}, {"direction", against ? "tighten" : "relax"}});
    }
  }
  ShowVerdict(Verdict::kWarmingUp);
}

void JudgeMetrics::ShowVerdict(Verdict verdict) {
  for (const auto& [other, gauge] : verdicts_) gauge->Set(other == verdict ? 1 : 0);
}

void JudgeMetrics::ShowJudgement(const coadaptation::Judgement& judgement, double clipped_share) {
  // Evidence 0 is "none yet", which has no logarithm.
  const auto log10 = [](double value) {
    return value > 0 ? std::log10(value) : coadaptation::kUnknown;
  };
  evidence_.Set(log10(judgement.evidence));
  evidence_negative_.Set(log10(judgement.evidence_negative));
  early_.Set(judgement.early ? 1 : 0);
  evidence_early_.Set(log10(judgement.evidence_early));
  threshold_.Set(std::log10(judgement.level));
  clipped_.Set(clipped_share);
  score_.Set(judgement.warning_score);
  for (const auto& [name, gauge] : signals_) gauge->Set(name == judgement.signal ? 1 : 0);
}

void JudgeMetrics::ShowController(const coadaptation::Controller& controller,
                                  const std::string& state) {
  for (const auto& [name, gauge] : states_) gauge->Set(name == state ? 1 : 0);
  for (const auto& [knob, gauge] : values_) gauge->Set(controller.ValueOf(knob));
}

void JudgeMetrics::CountAction(const coadaptation::Action& action) {
  actions_.at({action.knob, action.against})->Increment();
}

}  // namespace tandem::monitor
