#include "services/monitor/core/monitor_metrics.h"

#include <cmath>

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using metrics::Counter;
using metrics::Registry;

/// A gauge that shows one number of a checkpoint. label: empty for none.
struct Figure {
  const char* name;
  const char* help;
  double Checkpoint::*member;
  const char* label = "";
  const char* value = "";
};

constexpr char kIndexPart[] =
    "Part of the co-adaptation index that comes from one quantity, in units of the return scale.";
constexpr char kGap[] =
    "Model return minus real return from the same states, by horizon, in units of the return "
    "scale.";
constexpr char kNll[] = "Negative log likelihood of one-step predictions [nats a dimension].";
constexpr char kError[] =
    "Root mean squared one-step error of the model, in standard deviations of each output.";
constexpr char kOpenLoop[] =
    "Median distance of the model from the real states after so many steps without correction, in "
    "standard deviations.";
constexpr char kDisagreement[] =
    "Standard deviation between the members' predictions, in standard deviations of each output.";
constexpr char kCalibration[] = "Squared error of calibration of one-step predictions.";
constexpr char kCoverage[] = "Share of real outcomes inside the predicted central 90 % interval.";
constexpr char kCrps[] =
    "Continuous ranked probability score of one-step predictions, in standard deviations of each "
    "output.";

// Every gauge of the catalogue; docs/metrics.md has them in this order.
constexpr Figure kFigures[] = {
    {"tandem_coadaptation_index_ratio",
     "Imagined return beyond the real one, from single fresh steps, in units of the return scale.",
     &Checkpoint::index},
    {"tandem_coadaptation_score_ratio",
     "Mean of the gaps over 100 steps and over whole episodes, in units of the return scale.",
     &Checkpoint::score},
    {"tandem_model_backup_bias_ratio", kIndexPart, &Checkpoint::index_reward, "quantity", "reward"},
    {"tandem_model_backup_bias_ratio", kIndexPart, &Checkpoint::index_dynamics, "quantity",
     "dynamics"},
    {"tandem_model_backup_bias_ratio", kIndexPart, &Checkpoint::index_termination, "quantity",
     "termination"},
    {"tandem_critic_residual_ratio",
     "In-model Bellman residual of the critic, in units of the return scale.",
     &Checkpoint::residual},
    {"tandem_return_gap_ratio", kGap, &Checkpoint::gap_5, "horizon", "5"},
    {"tandem_return_gap_ratio", kGap, &Checkpoint::gap_25, "horizon", "25"},
    {"tandem_return_gap_ratio", kGap, &Checkpoint::gap_100, "horizon", "100"},
    {"tandem_return_gap_ratio", kGap, &Checkpoint::gap_episode, "horizon", "episode"},
    {"tandem_return_gap_ratio", kGap, &Checkpoint::gap_evaluation, "horizon", "evaluation"},
    {"tandem_model_return", "Mean return of model rollouts from the episodes' start states.",
     &Checkpoint::model_return},
    {"tandem_real_return", "Mean return of those training episodes.", &Checkpoint::real_return},
    {"tandem_return_scale", "Range of real returns so far: the unit of index and gaps.",
     &Checkpoint::return_scale},
    {"tandem_model_return_rank_correlation_ratio",
     "Rank correlation of model and real return over the last checkpoints.",
     &Checkpoint::rank_correlation},
    {"tandem_model_nll_nats", kNll, &Checkpoint::nll_onpolicy, "split", "onpolicy"},
    {"tandem_model_nll_nats", kNll, &Checkpoint::nll_heldout, "split", "heldout"},
    {"tandem_model_nll_nats", kNll, &Checkpoint::nll_train, "split", "train"},
    {"tandem_model_error_ratio", kError, &Checkpoint::error_onpolicy, "split", "onpolicy"},
    {"tandem_model_error_ratio", kError, &Checkpoint::error_heldout, "split", "heldout"},
    {"tandem_model_error_onpolicy_per_heldout_ratio",
     "One-step error of the model on fresh steps over that on held-out steps.",
     &Checkpoint::error_ratio},
    {"tandem_model_error_increase_per_nat",
     "Slope of the model's error on fresh steps over the policy's shift since the fit.",
     &Checkpoint::error_per_nat},
    {"tandem_model_openloop_error_ratio", kOpenLoop, &Checkpoint::open_loop_1, "horizon", "1"},
    {"tandem_model_openloop_error_ratio", kOpenLoop, &Checkpoint::open_loop_5, "horizon", "5"},
    {"tandem_model_openloop_error_ratio", kOpenLoop, &Checkpoint::open_loop_10, "horizon", "10"},
    {"tandem_model_openloop_error_ratio", kOpenLoop, &Checkpoint::open_loop_20, "horizon", "20"},
    {"tandem_ensemble_disagreement_ratio", kDisagreement, &Checkpoint::disagreement_imagined,
     "split", "imagined"},
    {"tandem_ensemble_disagreement_ratio", kDisagreement, &Checkpoint::disagreement_real, "split",
     "real"},
    {"tandem_uncertainty_error_rank_correlation_ratio",
     "Rank correlation of disagreement and error on fresh steps.", &Checkpoint::visibility},
    {"tandem_occupancy_c2st_auc_ratio",
     "How well a classifier tells imagined from real steps (area under the curve).",
     &Checkpoint::c2st_auc},
    {"tandem_occupancy_mmd_ratio",
     "Kernel distance of imagined and real steps over what chance gives in 95 % of cases.",
     &Checkpoint::mmd},
    {"tandem_density_ratio_ess_ratio",
     "Effective sample size of imagined steps as real ones, as a share.",
     &Checkpoint::effective_sample_share},
    {"tandem_value_bias_ratio",
     "Mean of the critic's value minus the real return to go, in units of the return scale.",
     &Checkpoint::value_bias},
    {"tandem_value_bias_sd_ratio", "Standard deviation of that difference over steps.",
     &Checkpoint::value_bias_sd},
    {"tandem_policy_shift_nats", "KL of the policy from the one at the last fit [nats].",
     &Checkpoint::policy_shift},
    {"tandem_model_calibration_error_ratio", kCalibration, &Checkpoint::calibration_onpolicy,
     "split", "onpolicy"},
    {"tandem_model_calibration_error_ratio", kCalibration, &Checkpoint::calibration_heldout,
     "split", "heldout"},
    {"tandem_model_interval_coverage_ratio", kCoverage, &Checkpoint::coverage_onpolicy, "split",
     "onpolicy"},
    {"tandem_model_interval_coverage_ratio", kCoverage, &Checkpoint::coverage_heldout, "split",
     "heldout"},
    {"tandem_model_crps_ratio", kCrps, &Checkpoint::crps_onpolicy, "split", "onpolicy"},
    {"tandem_model_crps_ratio", kCrps, &Checkpoint::crps_heldout, "split", "heldout"},
    {"tandem_predicted_reward_range_ratio",
     "How far the best imagined rewards reach beyond the best real ones; 1: as far.",
     &Checkpoint::reward_range},
    {"tandem_policy_improvement_agreement_ratio",
     "Share of the members in which the policy has improved since the last fit.",
     &Checkpoint::improvement_agreement},
    {"tandem_model_age_env_steps", "Training steps since the model was fitted [steps].",
     &Checkpoint::model_age},
    {"tandem_real_data_share_ratio", "Share of real rows in the policy's batches.",
     &Checkpoint::real_share},
    {"tandem_update_to_data_ratio",
     "Policy updates for each training step, since the last "
     "checkpoint.",
     &Checkpoint::update_to_data},
    {"tandem_checkpoint_transitions", "Fresh steps behind the newest checkpoint [steps].",
     &Checkpoint::fresh_steps},
};

Counter& Dropped(Registry& registry, const std::string& reason) {
  return registry.AddCounter("tandem_fresh_transitions_dropped_total",
                             "Fresh steps that were not scored, by reason.", {{"reason", reason}});
}

Counter& Failures(Registry& registry, const std::string& series) {
  return registry.AddCounter("tandem_monitor_snapshot_failures_total",
                             "Snapshots that the monitor could not load.", {{"series", series}});
}

Counter& Comparisons(Registry& registry, const std::string& outcome) {
  return registry.AddCounter("tandem_return_comparisons_total",
                             "Evaluations held against the model, by outcome.",
                             {{"outcome", outcome}});
}

}  // namespace

MonitorMetrics::MonitorMetrics(Registry& registry)
    : scored(registry.AddCounter("tandem_fresh_transitions_scored_total",
                                 "Steps scored with a model that had not seen them.")),
      clipped(registry.AddCounter("tandem_bias_clipped_total",
                                  "Steps whose bias was clipped at the bound.")),
      dropped_overflow(Dropped(registry, "overflow")),
      dropped_no_model(Dropped(registry, "no_model")),
      dropped_nonfinite(Dropped(registry, "nonfinite")),
      dropped_old_policy(Dropped(registry, "old_policy")),
      model_failures(Failures(registry, "model")),
      policy_failures(Failures(registry, "policy")),
      last_update(registry.AddGauge("tandem_coadaptation_last_update_timestamp_seconds",
                                    "When the figures were last computed [s since 1970].")),
      waiting(registry.AddGauge("tandem_monitor_waiting_transitions",
                                "Fresh steps that wait for the end of their checkpoint [steps].")),
      policy_lag(registry.AddHistogram(
          "tandem_policy_lag_updates",
          "Updates between the policy that took a fresh step and the newest one [updates].",
          {0, 1, 10, 100, 300, 1000, 3000, 10000, 100000})),
      survey_duration(registry.AddHistogram("tandem_monitor_computation_duration_seconds",
                                            "Time of the figures of one checkpoint [s].",
                                            metrics::LatencyBuckets())),
      registry_(registry),
      compared_(Comparisons(registry, "compared")),
      policy_gone_(Comparisons(registry, "policy_gone")),
      too_long_(Comparisons(registry, "too_long")) {
  for (const Figure& figure : kFigures) {
    metrics::Labels labels;
    if (*figure.label != '\0') labels[figure.label] = figure.value;
    figures_.emplace_back(figure.member, &registry.AddGauge(figure.name, figure.help, labels));
  }
}

void MonitorMetrics::AddJoint() {
  joint_ = true;
  const auto add = [this](double Checkpoint::*member, metrics::Gauge& gauge) {
    figures_.emplace_back(member, &gauge);
  };
  add(&Checkpoint::classifier_accuracy,
      registry_.AddGauge("tandem_classifier_accuracy_ratio",
                         "Share of held-out real and modelled steps that are told apart."));
  for (const auto& [depth, member] : {std::pair{"1", &Checkpoint::log_ratio_1},
                                      {"5", &Checkpoint::log_ratio_5},
                                      {"10", &Checkpoint::log_ratio_10},
                                      {"20", &Checkpoint::log_ratio_20}}) {
    add(member, registry_.AddGauge("tandem_log_ratio_nats",
                                   "Mean clipped log-ratio of imagined steps by depth [nats].",
                                   {{"depth", depth}}));
  }
  add(&Checkpoint::log_ratio_clipped,
      registry_.AddGauge("tandem_log_ratio_clipped_ratio",
                         "Share of imagined steps whose log-ratio a bound changed."));
  add(&Checkpoint::joint_bound,
      registry_.AddGauge("tandem_joint_bound_nats",
                         "Lower bound on the logarithm of the real return, from the model."));
  add(&Checkpoint::joint_log_return,
      registry_.AddGauge("tandem_joint_log_return_nats",
                         "Logarithm of the discounted return of fresh episodes."));
  add(&Checkpoint::joint_horizon,
      registry_.AddGauge("tandem_joint_horizon_env_steps",
                         "Steps that the bound and the return beside it are taken over."));
  add(&Checkpoint::ratio_weight,
      registry_.AddGauge("tandem_joint_ratio_weight", "Weight of the log-ratio in force."));
}

void MonitorMetrics::Show(const Checkpoint& checkpoint) {
  if (!joint_ && !std::isnan(checkpoint.ratio_weight)) AddJoint();
  for (const auto& [member, gauge] : figures_) gauge->Set(checkpoint.*member);
}

void MonitorMetrics::CountComparison(PairOutcome outcome) {
  if (outcome == PairOutcome::kCompared) compared_.Increment();
  if (outcome == PairOutcome::kPolicyGone) policy_gone_.Increment();
  if (outcome == PairOutcome::kTooLong) too_long_.Increment();
}

}  // namespace tandem::monitor
