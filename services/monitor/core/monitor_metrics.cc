#include "services/monitor/core/monitor_metrics.h"

namespace tandem::monitor {
namespace {

using coadaptation::Verdict;
using metrics::Counter;
using metrics::Gauge;
using metrics::Registry;

Counter& Dropped(Registry& registry, const std::string& reason) {
  return registry.AddCounter("tandem_fresh_transitions_dropped_total",
                             "Fresh steps that were not scored, by reason.", {{"reason", reason}});
}

Counter& Failures(Registry& registry, const std::string& series) {
  return registry.AddCounter("tandem_monitor_snapshot_failures_total",
                             "Snapshots that the monitor could not load.", {{"series", series}});
}

Gauge& Bias(Registry& registry, const std::string& quantity) {
  return registry.AddGauge(
      "tandem_model_backup_bias_ratio",
      "Part of the co-adaptation index that comes from one quantity, in units of the return scale.",
      {{"quantity", quantity}});
}

Gauge& Error(Registry& registry, const std::string& split) {
  return registry.AddGauge("tandem_model_error_ratio",
                           "Root mean squared one-step error of the model, in standard deviations "
                           "of each output.",
                           {{"split", split}});
}

}  // namespace

MonitorMetrics::MonitorMetrics(Registry& registry)
    : scored(registry.AddCounter("tandem_fresh_transitions_scored_total",
                                 "Steps scored with a model that had not seen them.")),
      dropped_overflow(Dropped(registry, "overflow")),
      dropped_no_model(Dropped(registry, "no_model")),
      dropped_nonfinite(Dropped(registry, "nonfinite")),
      model_failures(Failures(registry, "model")),
      policy_failures(Failures(registry, "policy")),
      last_update(registry.AddGauge("tandem_coadaptation_last_update_timestamp_seconds",
                                    "When the figures were last computed [s since 1970].")),
      waiting(registry.AddGauge("tandem_monitor_waiting_transitions",
                                "Fresh steps read and not yet scored [steps].")),
      policy_lag(registry.AddHistogram(
          "tandem_policy_lag_updates",
          "Updates between the policy that took a fresh step and the newest one [updates].",
          {0, 1, 10, 100, 300, 1000, 3000, 10000, 100000})),
      tick_duration(registry.AddHistogram("tandem_monitor_computation_duration_seconds",
                                          "Time of one computation of the figures [s].",
                                          metrics::LatencyBuckets())),
      index_(registry.AddGauge("tandem_coadaptation_index_ratio",
                               "Imagined return beyond the real one, from single fresh steps, in "
                               "units of the return scale.")),
      bias_reward_(Bias(registry, "reward")),
      bias_dynamics_(Bias(registry, "dynamics")),
      bias_termination_(Bias(registry, "termination")),
      residual_(registry.AddGauge("tandem_critic_residual_ratio",
                                  "In-model Bellman residual of the critic, in units of the return "
                                  "scale.")),
      model_return_(registry.AddGauge("tandem_model_return",
                                      "Mean return of model rollouts from real start states.")),
      real_return_(registry.AddGauge("tandem_real_return",
                                     "Mean return of the real episodes from those start states.")),
      gap_(registry.AddGauge("tandem_return_gap_ratio",
                             "Model return minus real return from the same start states, in units "
                             "of the return scale.")),
      scale_(registry.AddGauge("tandem_return_scale",
                               "Best mean real return so far minus the first, floored.")),
      error_ratio_(registry.AddGauge("tandem_model_error_onpolicy_per_heldout_ratio",
                                     "One-step error of the model on fresh steps over that on "
                                     "held-out steps.")),
      error_fresh_(Error(registry, "onpolicy")),
      error_heldout_(Error(registry, "heldout")),
      model_age_(registry.AddGauge("tandem_model_age_env_steps",
                                   "Training steps since the newest model was fitted [steps].")),
      window_(registry.AddGauge("tandem_coadaptation_window_transitions",
                                "Fresh steps behind the index [steps].")) {
  for (Verdict verdict : {Verdict::kWarmingUp, Verdict::kHealthy, Verdict::kWarning,
                          Verdict::kExploiting, Verdict::kPessimistic, Verdict::kStale}) {
    verdicts_[verdict] = &registry.AddGauge("tandem_coadaptation_verdict",
                                            "1 for the verdict in force, 0 for the others.",
                                            {{"verdict", coadaptation::VerdictName(verdict)}});
    verdicts_[verdict]->Set(verdict == Verdict::kWarmingUp ? 1 : 0);
  }
  using Outcome = ReturnComparer::Outcome;
  for (const auto& [outcome, name] :
       std::map<Outcome, std::string>{{Outcome::kCompared, "compared"},
                                      {Outcome::kPolicyGone, "policy_gone"},
                                      {Outcome::kTooLong, "too_long"}}) {
    comparisons_[outcome] = &registry.AddCounter(
        "tandem_return_comparisons_total",
        "Groups of real episodes held against the model, by outcome.", {{"outcome", name}});
  }
}

void MonitorMetrics::Show(const Report& report) {
  const coadaptation::Figures& figures = report.figures;
  index_.Set(figures.index);
  bias_reward_.Set(figures.index_reward);
  bias_dynamics_.Set(figures.index_dynamics);
  bias_termination_.Set(figures.index_termination);
  residual_.Set(figures.residual);
  model_return_.Set(figures.model_return);
  real_return_.Set(figures.real_return);
  gap_.Set(figures.return_gap);
  scale_.Set(figures.return_scale);
  error_ratio_.Set(report.model_error_ratio);
  error_fresh_.Set(report.model_error_fresh);
  error_heldout_.Set(report.model_error_heldout);
  model_age_.Set(report.model_age_env_steps);
  window_.Set(static_cast<double>(figures.window_steps));
  for (const auto& [verdict, gauge] : verdicts_) {
    gauge->Set(verdict == report.judgement.verdict ? 1 : 0);
  }
}

void MonitorMetrics::CountComparison(ReturnComparer::Outcome outcome) {
  const auto counter = comparisons_.find(outcome);
  if (counter != comparisons_.end()) counter->second->Increment();
}

}  // namespace tandem::monitor
