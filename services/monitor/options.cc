#include "services/monitor/options.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/nn/device.h"

namespace tandem::monitor {
namespace {

MonitorOptions MonitorFrom(const config::v1::RunConfig& config) {
  const config::v1::Monitor& monitor = config.monitor();
  MonitorOptions options;
  options.thresholds.tolerance = monitor.tolerance();
  options.thresholds.warning = monitor.warning();
  options.thresholds.warmup_refits = monitor.warmup_refits();
  options.thresholds.min_window_steps =
      std::min(options.thresholds.min_window_steps, monitor.window());
  options.thresholds.stale_seconds =
      std::max(options.thresholds.stale_seconds, 10 * monitor.interval_seconds());
  options.interval = absl::Seconds(monitor.interval_seconds());
  options.window = monitor.window();
  options.fresh_capacity = std::max(options.fresh_capacity, 2 * monitor.window());
  options.comparison.rollouts = monitor.rollouts();
  // A policy half an evaluation older or newer is taken for the one that was evaluated.
  options.comparison.updates_tolerance =
      std::max(100.0, 0.5 * config.pace().updates_per_step() *
                          static_cast<double>(config.actor().evaluation_interval()));
  options.replay_address = config.endpoints().replay_buffer();
  options.seed = config::SeedFor(config, /*has_own=*/false, 0, "monitor");
  return options;
}

std::string ControlName(config::v1::ControlMode mode) {
  if (mode == config::v1::CONTROL_MODE_OFF) return "off";
  return mode == config::v1::CONTROL_MODE_ACT ? "act" : "advise";
}

RunFacts FactsFrom(const config::v1::RunConfig& config, const MonitorOptions& monitor) {
  RunFacts facts;
  facts.name = config.run().name();
  facts.environment = config.env().name();
  facts.seed = config.run().seed();
  facts.max_env_steps = config.stop().max_env_steps();
  facts.tolerance = config.monitor().tolerance();
  facts.warning = config.monitor().warning();
  facts.stale_seconds = monitor.thresholds.stale_seconds;
  facts.false_alarm_interval = config.monitor().false_alarm_interval();
  facts.control = ControlName(config.control().mode());
  facts.recipe = {
      {coadaptation::Knob::kRolloutHorizon,
       std::max(config.imagination().horizon_start(), config.imagination().horizon_end())},
      {coadaptation::Knob::kRealShare, config.imagination().real_share()},
      {coadaptation::Knob::kPessimism, config.imagination().pessimism()},
      {coadaptation::Knob::kUpdatesPerStep, config.pace().updates_per_step()}};
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
  if (!endpoints.state_dir().empty()) {
    options.judge.history_path = endpoints.state_dir() + "/history.jsonl";
  }
  options.judge.token_file = config.control().token_file();
  options.dashboard = {config.monitor().dashboard(), endpoints.state_dir(),
                       FactsFrom(config, options.monitor)};
  options.drain = absl::Seconds(config.runtime().drain_seconds());
  return options;
}

}  // namespace tandem::monitor
