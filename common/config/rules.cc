#include "common/config/rules.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace tandem::config {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();
constexpr double kDay = 86400;  // [s]

constexpr FieldRule kRules[] = {
    {"run.seed", "0", 0},
    {"env.seed", "", 0},
    {"env.max_episode_steps", "0", 0},
    {"env.warmup_episode_steps", "0", 0},
    {"env.threads", "1", 1, 256},
    {"env.step_timeout_seconds", "10", 0, kDay, true},
    {"env.reset_timeout_seconds", "60", 0, kDay, true},
    {"env.max_failures", "5", 1},
    {"env.failure_window_seconds", "600", 0, kNone, true},
    {"actor.num_envs", "1", 1, 4096},
    {"actor.evaluation_interval", "250", 0},
    {"actor.evaluation_episodes", "10", 1, 1000},
    {"actor.record_evaluation_steps", "false"},
    {"actor.processes", "1", 1, 64},
    {"replay.capacity", "1000000", 1000},
    {"replay.holdout_fraction", "0.2", 0, 0.5},
    {"pace.mode", "LOCKSTEP"},
    {"pace.warmup_steps", "250", 1},
    {"pace.updates_per_step", "10", 0.01, 1000},
    {"pace.refit_interval", "250", 1},
    {"pace.steps_per_round", "1", 1},
    {"pace.band_steps", "50", 1},
    {"pace.max_model_lag", "1000", 0},
    {"pace.max_policy_lag", "5000", 0},
    {"stop.max_env_steps", "20000", 1},
    {"stop.evaluations_in_a_row", "2", 1},
    {"model.members", "7", 1, 64},
    {"model.elites", "5", 1},
    {"model.hidden", "[200, 200, 200, 200]", 1, 4096},
    {"model.lr", "1e-3", 0, kNone, true},
    {"model.weight_decay", "5e-5", 0},
    {"model.batch_size", "256", 1, 65536},
    {"model.patience_epochs", "5", 1},
    {"model.patience_steps", "100", 1},
    {"model.min_improvement", "0.01", 0, 1},
    {"model.max_gradient_steps", "200", 1},
    {"model.termination", "KNOWN"},
    {"model.seed", "", 0},
    {"model.kind", "ENSEMBLE"},
    {"model.deterministic", "false"},
    {"model.freeze_after", "0", 0},
    {"model.known_reward", "false"},
    {"model.first_gradient_steps", "0", 0},
    {"imagination.rollouts_per_refit", "100000", 1, 1000000},
    {"imagination.horizon_start", "1", 1, 1000},
    {"imagination.horizon_end", "1", 1, 1000},
    {"imagination.schedule_start", "0", 0},
    {"imagination.schedule_end", "0", 0},
    {"imagination.retain_refits", "1", 1},
    {"imagination.real_share", "0.05", 0, 1},
    {"imagination.observation_margin", "1", 0},
    {"imagination.pessimism", "0", 0},
    {"imagination.truncate_above", "0", 0},
    {"policy.hidden", "[256, 256]", 1, 4096},
    {"policy.lr", "1e-3", 0, kNone, true},
    {"policy.temperature_lr", "3e-4", 0},
    {"policy.initial_temperature", "0.1", 0, kNone, true},
    {"policy.tau", "0.01", 0, 1},
    {"policy.discount", "0.99", 0, 1},
    {"policy.batch_size", "256", 1, 65536},
    {"policy.seed", "", 0},
    {"policy.publish_interval", "50", 1},
    {"monitor.tolerance", "0.2", 0, kNone, true},
    {"monitor.warning", "0.1", 0, kNone, true},
    {"monitor.window", "1000", 10, 100000},
    {"monitor.warmup_refits", "3", 0},
    {"monitor.interval_seconds", "1", 0.1, 3600},
    {"monitor.rollouts", "20", 1, 1000},
    {"monitor.false_alarm_interval", "200", 1, 1e9},
    {"monitor.early_alarm_interval", "20", 1, 1e9},
    {"monitor.in_lockstep", ""},
    {"monitor.model_steps_per_checkpoint", "60000", 1000, 1e8},
    {"runtime.threads", "", 1, 256},
    {"runtime.device", "cpu", -kNone, kNone, false, "cpu,cuda,auto"},
    {"runtime.drain_seconds", "4", 0.1, 600},
    {"runtime.checkpoint_seconds", "20", 0.1, 86400},
    {"study.planted_reward", "0"},
    {"study.planted_element", "0", 0, 4095},
    {"study.planted_low", "0"},
    {"study.planted_high", "0"},
    {"study.planted_member_share", "1", 0, 1},
    {"study.planted_from", "0", 0},
    {"study.shift_start_after", "0", 0},
    {"study.shift_start_scale", "1", 1, 1000},
    {"control.mode", "ADVISE"},
    {"control.max_actions_per_hour", "6", 1, 100000},
    {"control.dwell_refits", "1", 1},
    {"control.recover_refits", "5", 1},
    {"control.rollback_after", "3", 1},
    {"control.ttl_seconds", "120", 1, 86400},
    {"objective.kind", "LIKELIHOOD"},
    {"objective.classifier_hidden", "[64, 64]", 1, 4096},
    {"objective.classifier_lr", "2e-3", 0, kNone, true},
    {"objective.classifier_batch_size", "256", 1, 65536},
    {"objective.classifier_first_steps", "3000", 1},
    {"objective.classifier_steps", "300", 1},
    {"objective.classifier_target", "0.95", 0.51, 1},
    {"objective.classifier_weight_decay", "0", 0},
    {"objective.classifier_input_noise", "0", 0},
    {"objective.seed", "", 0},
    {"objective.logit_lower", "-5"},
    {"objective.logit_upper", "0"},
    {"objective.logit_samples", "3", 1, 100},
    {"objective.weight_mode", "FIXED"},
    {"objective.weight", "0.2", 0},
    {"objective.weight_end", "0.2", 0},
    {"objective.weight_updates", "0", 0},
    {"objective.divergence_target", "0.1", 0, kNone, true},
    {"objective.dual_lr", "3e-4", 0},
    {"objective.weight_min", "0.02", 0, kNone, true},
    {"objective.weight_max", "1", 0, kNone, true},
    {"objective.log_reward", "true"},
    {"objective.reward_min", "", 0, kNone, true},
    {"objective.terminal_reward", "1", 0, kNone, true},
    {"objective.model_value_weight", "0", 0, 0.1},
    {"objective.model_ratio_weight", "0", 0, 0.1},
    {"objective.model_ramp_steps", "2000", 0},
    {"objective.reward_transform", "SHIFT"},
    {"objective.reward_scale", "1", 0, kNone, true},
    {"objective.classifier_label_range", "0", 0, 1},
    {"objective.classifier_max_gradient_norm", "0", 0},
    {"objective.classifier_layer_norm", "false"},
    {"objective.ratio_warmup_updates", "0", 0},
    {"objective.logit_tolerance", "0", 0},
    {"objective.dual_fall", "1", 0, 1, true},
    {"objective.state_price", "false"},
    {"objective.state_tolerance", "1", 0},
    {"objective.state_noise", "0.03", 0},
    {"objective.state_mixture", "0.9", 0, 0.99},
    {"objective.state_first_steps", "5000", 1},
    {"objective.state_steps", "1000", 1},
};

constexpr FieldRule kNoRule = {};

}  // namespace

bool FieldRule::Allows(double value) const {
  return (above_min ? value > min : value >= min) && value <= max;
}

std::string FieldRule::Range() const {
  if (std::isinf(min)) return "";
  if (std::isfinite(max) && above_min) {
    return absl::StrFormat("> %.10g and at most %.10g", min, max);
  }
  if (std::isfinite(max)) return absl::StrFormat("from %.10g to %.10g", min, max);
  return absl::StrFormat("%s %.10g", above_min ? ">" : ">=", min);
}

std::span<const FieldRule> FieldRules() { return kRules; }

const FieldRule& RuleFor(std::string_view path) {
  for (const FieldRule& rule : kRules) {
    if (rule.path == path) return rule;
  }
  return kNoRule;
}

}  // namespace tandem::config
