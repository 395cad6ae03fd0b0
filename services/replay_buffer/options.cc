#include "services/replay_buffer/options.h"

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"

namespace tandem {
namespace {

PaceOptions PaceFrom(const config::v1::RunConfig& config) {
  PaceOptions pace;
  pace.mode =
      config.pace().mode() == config::v1::PACE_MODE_ASYNC ? PaceMode::kAsync : PaceMode::kLockstep;
  pace.warmup_steps = config.pace().warmup_steps();
  pace.updates_per_step = config.pace().updates_per_step();
  pace.refit_interval = config.pace().refit_interval();
  pace.steps_per_round = config.pace().steps_per_round();
  pace.band_steps = config.pace().band_steps();
  pace.max_model_lag = config.pace().max_model_lag();
  pace.max_policy_lag = config.pace().max_policy_lag();
  pace.publish_interval = config.policy().publish_interval();
  pace.num_envs = config.actor().num_envs();
  pace.evaluation_interval = config.actor().evaluation_interval();
  pace.max_env_steps = config.stop().max_env_steps();
  if (config.stop().has_return_at_least()) {
    pace.return_at_least = config.stop().return_at_least();
  }
  pace.evaluations_in_a_row = config.stop().evaluations_in_a_row();
  pace.monitor_in_lockstep = config::MonitorInLockstep(config);
  return pace;
}

}  // namespace

absl::StatusOr<ReplayOptions> ReplayOptionsFrom(const config::v1::RunConfig& config) {
  ReplayOptions options;
  const auto& endpoints = config.endpoints();
  options.member = endpoints.member().empty() ? "replay_buffer" : endpoints.member();
  options.buffer.capacity = config.replay().capacity();
  options.buffer.holdout_fraction = config.replay().holdout_fraction();
  options.buffer.pace = PaceFrom(config);
  options.buffer.monitor_ttl = absl::Seconds(config.control().ttl_seconds());
  options.server.role = "replay_buffer";
  options.server.address = endpoints.has_listen() && !endpoints.listen().empty()
                               ? endpoints.listen()
                               : endpoints.replay_buffer();
  options.server.metrics_address = endpoints.metrics();
  options.server.state_dir = endpoints.state_dir();
  options.drain = absl::Seconds(config.runtime().drain_seconds());
  if (options.server.address.empty()) {
    return absl::InvalidArgumentError(
        "endpoints.listen: expected the address to listen at, got none");
  }
  if (!options.server.state_dir.empty()) {
    TANDEM_RETURN_IF_ERROR(MakeDirs(options.server.state_dir));
    TANDEM_ASSIGN_OR_RETURN(options.buffer.incarnation,
                            IncrementCounterFile(options.server.state_dir + "/epoch"));
  }
  return options;
}

}  // namespace tandem
