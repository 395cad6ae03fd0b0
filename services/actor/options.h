#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clients/environments.h"
#include "common/rpc/server_runner.h"
#include "services/actor/core/actor_core.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::actor {

/// All that the process needs to know, from the config of the run.
struct ServiceOptions {
  ActorOptions actor;
  EnvironmentSource environment;
  bool first_start = true;       ///< Of this process in its run.
  int num_envs = 1;              ///< Training environments.
  int evaluation_episodes = 10;  ///< Evaluation environments.
  uint64_t environment_seed = 0;
  int64_t warmup_episode_steps = 0;  ///< [steps] of episodes in the warm-up; 0: as all others.
  uint64_t warmup_seed = 0;          ///< Of the warm-up's environments.
  std::string device;                ///< "cpu" or "cuda".
  rpc::ServerOptions server;         ///< Without registry, which main() makes.
  absl::Duration drain = absl::Seconds(4);
};

/// Picks the actor's part of a resolved config. `start` counts the starts of this process, from 1:
/// it enters the seeds of training, so that an actor that starts again does not repeat its first
/// episodes; evaluations depend on the seed and their number alone. FAILED_PRECONDITION where the
/// config wants a device that is not there; INVALID_ARGUMENT where an address is missing.
absl::StatusOr<ServiceOptions> OptionsFrom(const config::v1::RunConfig& config, uint64_t start);

/// Counts this start in endpoints.state_dir/epoch; 1 where there is no such folder. Blocks on the
/// disk.
absl::StatusOr<uint64_t> CountStart(const config::v1::RunConfig& config);

/// Counts this start, and picks the options for it.
absl::StatusOr<ServiceOptions> OptionsOfThisStart(const config::v1::RunConfig& config);

/// Turns snapshots into policies of an environment.
PolicyLoader MakePolicyLoader(const EnvironmentSpec& spec, const std::string& device);

}  // namespace tandem::actor
