#include "services/monitor/options.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/nn/device.h"
#include "services/monitor/core/override_token.h"

namespace tandem::monitor {
namespace {

MonitorOptions MonitorFrom(const config::v1::RunConfig& config) {
  const config::v1::Monitor& monitor = config.monitor();
  const double updates_per_step = config.pace().updates_per_step();
  const double refit_updates =
      updates_per_step * static_cast<double>(config.pace().refit_interval());
  MonitorOptions options;
  options.interval = absl::Seconds(monitor.interval_seconds());
  options.window = monitor.window();
  options.least_steps = std::min(options.least_steps, options.window);
  options.capacity = std::max(options.capacity, 2 * options.window);
  options.survey.rollouts = monitor.rollouts();
  options.survey.model_steps = monitor.model_steps_per_checkpoint();
  options.evaluation_model_steps =
      std::min(options.evaluation_model_steps, options.survey.model_steps);
  // A policy half an evaluation older or newer is taken for the one that was evaluated.
  options.survey.updates_tolerance = std::max(
      100.0, 0.5 * updates_per_step * static_cast<double>(config.actor().evaluation_interval()));
  constexpr int kPoliciesPerRefit = 6;
  options.policy_poll_steps = config.pace().refit_interval() / kPoliciesPerRefit;
  options.policy_spacing = refit_updates / kPoliciesPerRefit;
  // Twice what a checkpoint, or the pace, may take.
  options.max_policy_lag =
      2 * std::max({refit_updates, updates_per_step * static_cast<double>(options.window),
                    static_cast<double>(config.pace().max_policy_lag())});
  const bool lockstep = config.pace().mode() != config::v1::PACE_MODE_ASYNC;
  options.paced = lockstep && config::MonitorInLockstep(config);
  if (options.paced) {
    // It looks at the pace's boundaries only: about a dozen of the policies in between are kept.
    options.policies_kept = 40;
    const int64_t rounds =
        std::max<int64_t>(1, config.pace().refit_interval() / config.pace().steps_per_round());
    options.policy_stride = static_cast<uint64_t>((rounds + 11) / 12);
    options.policy_spacing = 0;
  }
  options.replay_address = config.endpoints().replay_buffer();
  options.seed = config::SeedFor(config, /*has_own=*/false, 0, "monitor");
  return options;
}

coadaptation::Thresholds ThresholdsFrom(const config::v1::Monitor& monitor) {
  coadaptation::Thresholds thresholds;
  thresholds.tolerance = monitor.tolerance();
  thresholds.bound = thresholds.undersold = 0.5 * thresholds.tolerance;
  thresholds.warning = monitor.warning();
  thresholds.false_alarm_interval = monitor.false_alarm_interval();
  thresholds.early_alarm_interval = monitor.early_alarm_interval();
  thresholds.warmup_refits = monitor.warmup_refits();
  thresholds.min_window_steps = std::min(thresholds.min_window_steps, monitor.window());
  thresholds.stale_seconds = std::max(thresholds.stale_seconds, 10 * monitor.interval_seconds());
  return thresholds;
}

absl::StatusOr<std::set<coadaptation::Knob>> KnobsFrom(const std::string& names) {
  std::set<coadaptation::Knob> knobs;
  for (const absl::string_view name : absl::StrSplit(names, ',', absl::SkipWhitespace())) {
    const auto knob = coadaptation::KnobFromName(std::string(absl::StripAsciiWhitespace(name)));
    if (!knob) {
      return absl::InvalidArgumentError(
          absl::StrCat("control.knobs: no knob is called '", name, "'"));
    }
    knobs.insert(*knob);
  }
  return knobs;
}

coadaptation::ControllerOptions ControllerFrom(const config::v1::RunConfig& config) {
  const config::v1::Control& control = config.control();
  coadaptation::ControllerOptions options;
  options.act = control.mode() == config::v1::CONTROL_MODE_ACT;
  options.max_actions_per_hour = control.max_actions_per_hour();
  options.dwell_refits = control.dwell_refits();
  options.recover_refits = control.recover_refits();
  options.rollback_after = control.rollback_after();
  options.horizon =
      std::max(config.imagination().horizon_start(), config.imagination().horizon_end());
  options.real_share = config.imagination().real_share();
  options.pessimism = config.imagination().pessimism();
  options.updates_per_step = config.pace().updates_per_step();
  return options;
}

absl::StatusOr<JudgeOptions> JudgeFrom(const config::v1::RunConfig& config) {
  JudgeOptions options;
  options.thresholds = ThresholdsFrom(config.monitor());
  options.controller = ControllerFrom(config);
  TANDEM_ASSIGN_OR_RETURN(options.controller.allowed, KnobsFrom(config.control().knobs()));
  options.control = config.control().mode() != config::v1::CONTROL_MODE_OFF;
  options.token_file = config.control().token_file();
  options.desk.ttl = absl::Seconds(config.control().ttl_seconds());
  const std::string& state_dir = config.endpoints().state_dir();
  if (!state_dir.empty()) options.history_path = state_dir + "/history.jsonl";
  if (const absl::Status token = ReadToken(options.token_file).status(); !token.ok()) {
    const std::string what = absl::StrCat("control.token_file: ", token.message());
    // Another start would find the same file; where an earlier one was content, it may come back.
    std::error_code error;
    return std::filesystem::exists(options.history_path, error)
               ? absl::UnavailableError(what)
               : absl::FailedPreconditionError(what);
  }
  return options;
}

std::string ControlName(config::v1::ControlMode mode) {
  if (mode == config::v1::CONTROL_MODE_OFF) return "off";
  return mode == config::v1::CONTROL_MODE_ACT ? "act" : "advise";
}

RunFacts FactsFrom(const config::v1::RunConfig& config,
                   const coadaptation::ControllerOptions& recipe) {
  RunFacts facts;
  facts.name = config.run().name();
  facts.environment = config.env().name();
  facts.seed = config.run().seed();
  facts.max_env_steps = config.stop().max_env_steps();
  facts.tolerance = config.monitor().tolerance();
  facts.warning = config.monitor().warning();
  facts.false_alarm_interval = config.monitor().false_alarm_interval();
  facts.control = ControlName(config.control().mode());
  facts.recipe = {{coadaptation::Knob::kRolloutHorizon, recipe.horizon},
                  {coadaptation::Knob::kRealShare, recipe.real_share},
                  {coadaptation::Knob::kPessimism, recipe.pessimism},
                  {coadaptation::Knob::kUpdatesPerStep, recipe.updates_per_step}};
  return facts;
}

}  // namespace

absl::StatusOr<ServiceOptions> OptionsFrom(const config::v1::RunConfig& config) {
  const config::v1::Endpoints& endpoints = config.endpoints();
  if (endpoints.listen().empty() || endpoints.replay_buffer().empty() ||
      endpoints.model_trainer().empty() || endpoints.policy_trainer().empty()) {
    return absl::InvalidArgumentError(
        "monitor: set endpoints.listen, endpoints.replay_buffer, endpoints.model_trainer and "
        "endpoints.policy_trainer");
  }
  ServiceOptions options;
  options.monitor = MonitorFrom(config);
  options.server.role = "monitor";
  options.server.address = endpoints.listen();
  options.server.metrics_address = endpoints.metrics();
  options.server.state_dir = endpoints.state_dir();
  options.member = endpoints.member().empty() ? "monitor" : endpoints.member();
  options.replay_buffer = endpoints.replay_buffer();
  options.model_trainer = endpoints.model_trainer();
  options.policy_trainer = endpoints.policy_trainer();
  TANDEM_RETURN_IF_ERROR(nn::ResolveDevice(config.runtime().device(), &options.device));
  TANDEM_ASSIGN_OR_RETURN(options.judge, JudgeFrom(config));
  if (!config.monitor().dashboard().empty()) {
    TANDEM_RETURN_IF_ERROR(CheckHttpAddress(config.monitor().dashboard()));
  }
  options.dashboard = {config.monitor().dashboard(), endpoints.state_dir(),
                       FactsFrom(config, options.judge.controller)};
  options.drain = absl::Seconds(config.runtime().drain_seconds());
  return options;
}

}  // namespace tandem::monitor
