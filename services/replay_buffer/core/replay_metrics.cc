#include "services/replay_buffer/core/replay_metrics.h"

namespace tandem {
namespace {

constexpr char kKnobHelp[] = "Value in force of a knob of the pace, by knob.";

}  // namespace

ReplayMetrics::ReplayMetrics(metrics::Registry& registry)
    : appends(registry.AddCounter("tandem_replay_appends_total", "Appends stored.")),
      repeated(registry.AddCounter("tandem_replay_repeated_appends_total",
                                   "Appends acknowledged again because they were stored before.")),
      tailed_rows(registry.AddCounter("tandem_replay_tailed_rows_total",
                                      "Steps sent to readers of the tail.")),
      evaluations(registry.AddCounter("tandem_replay_evaluations_total", "Evaluations finished.")),
      held_steps(registry.AddGauge("tandem_replay_held_steps", "Steps held in memory.")),
      bytes(registry.AddGauge("tandem_replay_bytes", "Memory of the steps held, in bytes.")),
      env_steps(registry.AddGauge("tandem_replay_env_steps",
                                  "Training steps stored in this run, evicted ones included.")),
      writers(registry.AddGauge("tandem_replay_writers", "Writers that have opened.")),
      policy_updates(registry.AddGauge("tandem_replay_policy_updates",
                                       "Policy updates that the policy trainer reported.")),
      model_env_steps(registry.AddGauge("tandem_replay_model_env_steps",
                                        "Training steps that the published model has used.")),
      episode_return(registry.AddGauge("tandem_replay_episode_return",
                                       "Undiscounted return of the last training episode.")),
      evaluation_return(registry.AddGauge("tandem_replay_evaluation_return",
                                          "Mean undiscounted return of the last evaluation.")),
      stopped(registry.AddGauge("tandem_replay_stopped", "1 when the run is over, else 0.")),
      updates_per_step(
          registry.AddGauge("tandem_replay_knob_value", kKnobHelp, {{"knob", "updates_per_step"}})),
      policy_pause(
          registry.AddGauge("tandem_replay_knob_value", kKnobHelp, {{"knob", "policy_pause"}})),
      monitor_lost(registry.AddCounter("tandem_replay_monitor_lost_total",
                                       "Times that fits went on without the silent monitor.")),
      append_seconds(registry.AddHistogram("tandem_replay_append_seconds",
                                           "Time to check and store one append.",
                                           metrics::LatencyBuckets())),
      sample_seconds(registry.AddHistogram("tandem_replay_sample_seconds", "Time to cut one batch.",
                                           metrics::LatencyBuckets())) {
  const std::map<Split, const char*> splits = {
      {Split::kTrain, "train"}, {Split::kHoldout, "holdout"}, {Split::kEvaluation, "evaluation"}};
  for (const auto& [split, name] : splits) {
    steps_[static_cast<size_t>(split)] = &registry.AddCounter(
        "tandem_replay_steps_total", "Steps stored, by split.", {{"split", name}});
  }
  const std::map<SampleKind, const char*> kinds = {{SampleKind::kTransitions, "transitions"},
                                                   {SampleKind::kSequences, "sequences"},
                                                   {SampleKind::kStartStates, "start_states"}};
  for (const auto& [kind, name] : kinds) {
    sampled_[static_cast<size_t>(kind)] = &registry.AddCounter(
        "tandem_replay_sampled_rows_total", "Rows of batches cut, by kind.", {{"kind", name}});
  }
  const std::map<Role, const char*> roles = {{Role::kActor, "actor"},
                                             {Role::kModelTrainer, "model_trainer"},
                                             {Role::kPolicyTrainer, "policy_trainer"},
                                             {Role::kMonitor, "monitor"}};
  for (const auto& [role, name] : roles) {
    wait_[static_cast<size_t>(role)] =
        &registry.AddCounter("tandem_replay_wait_seconds_total",
                             "Time that a side waited for the others, by role.", {{"role", name}});
  }
  const std::map<Purpose, const char*> purposes = {{Purpose::kTraining, "training"},
                                                   {Purpose::kEvaluation, "evaluation"}};
  for (const auto& [purpose, name] : purposes) {
    episodes_[static_cast<size_t>(purpose)] = &registry.AddCounter(
        "tandem_replay_episodes_total", "Finished episodes, by purpose.", {{"purpose", name}});
  }
  const std::map<absl::StatusCode, const char*> reasons = {
      {absl::StatusCode::kInvalidArgument, "invalid"},
      {absl::StatusCode::kOutOfRange, "gap"},
      {absl::StatusCode::kFailedPrecondition, "stale"},
      {absl::StatusCode::kResourceExhausted, "full"},
      {absl::StatusCode::kUnknown, "other"}};
  for (const auto& [code, name] : reasons) {
    rejected_[code] = &registry.AddCounter("tandem_replay_rejected_total",
                                           "Appends refused, by reason.", {{"reason", name}});
  }
}

void ReplayMetrics::Rejected(const absl::Status& status) {
  const auto it = rejected_.find(status.code());
  (it == rejected_.end() ? rejected_.at(absl::StatusCode::kUnknown) : it->second)->Increment();
}

}  // namespace tandem
