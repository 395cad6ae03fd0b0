#include "services/actor/options.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/nn/device.h"
#include "common/policy/policy.h"

namespace tandem::actor {
namespace {

absl::Status CheckAddresses(const config::v1::Endpoints& endpoints) {
  if (endpoints.listen().empty() || endpoints.replay_buffer().empty() ||
      endpoints.policy_trainer().empty()) {
    return absl::InvalidArgumentError(
        "actor: set endpoints.listen, endpoints.replay_buffer and endpoints.policy_trainer");
  }
  return absl::OkStatus();
}

ActorOptions CoreOptions(const config::v1::RunConfig& config, const std::string& own_stream) {
  const config::v1::Endpoints& endpoints = config.endpoints();
  const uint64_t seed = config::SeedFor(config, /*has_own=*/false, 0, "actor");
  ActorOptions options;
  if (!endpoints.member().empty()) options.member = endpoints.member();
  options.replay_buffer = endpoints.replay_buffer();
  options.policy_trainer = endpoints.policy_trainer();
  options.monitor = endpoints.monitor();
  options.random_action_seed = StreamSeed(seed, "random_actions/" + own_stream);
  options.policy_action_seed = StreamSeed(seed, "policy_actions/" + own_stream);
  options.evaluation_interval = config.actor().evaluation_interval();
  options.record_evaluation_steps = config.actor().record_evaluation_steps();
  options.shift_start_after = config.study().shift_start_after();
  options.shift_start_scale = config.study().shift_start_scale();
  options.health.max_failures = config.env().max_failures();
  options.health.failure_window = absl::Seconds(config.env().failure_window_seconds());
  options.health.standstill =
      std::max(absl::Minutes(1), 2 * absl::Seconds(config.env().reset_timeout_seconds()));
  return options;
}

EnvironmentSource SourceFrom(const config::v1::Env& env, const std::string& member) {
  EnvironmentSource source;
  source.name = env.name();
  source.server = env.server();
  source.command = env.command();
  source.arguments = env.arguments();
  source.max_episode_steps = env.max_episode_steps();
  source.threads = env.threads();
  source.step_timeout = absl::Seconds(env.step_timeout_seconds());
  source.reset_timeout = absl::Seconds(env.reset_timeout_seconds());
  source.client = member;
  return source;
}

}  // namespace

absl::StatusOr<ServiceOptions> OptionsFrom(const config::v1::RunConfig& config, uint64_t start) {
  const config::v1::Endpoints& endpoints = config.endpoints();
  TANDEM_RETURN_IF_ERROR(CheckAddresses(endpoints));
  const std::string member = endpoints.member().empty() ? "actor" : endpoints.member();
  const std::string own_stream = absl::StrCat(member, "/", start);
  const uint64_t seed =
      config::SeedFor(config, config.env().has_seed(), config.env().seed(), "env");
  ServiceOptions options;
  options.actor = CoreOptions(config, own_stream);
  options.actor.evaluation_seed = StreamSeed(seed, "evaluation");
  options.environment = SourceFrom(config.env(), member);
  options.environment_seed = StreamSeed(seed, "training/" + own_stream);
  options.warmup_episode_steps = config.env().warmup_episode_steps();
  options.warmup_seed = StreamSeed(seed, "warmup/" + own_stream);
  options.first_start = start <= 1;
  options.num_envs = config.actor().num_envs();
  options.evaluation_episodes = config.actor().evaluation_episodes();
  TANDEM_RETURN_IF_ERROR(nn::ResolveDevice(config.runtime().device(), &options.device));
  options.server.role = "actor";
  options.server.address = endpoints.listen();
  options.server.metrics_address = endpoints.metrics();
  options.server.state_dir = endpoints.state_dir();
  options.drain = absl::Seconds(config.runtime().drain_seconds());
  return options;
}

absl::StatusOr<uint64_t> CountStart(const config::v1::RunConfig& config) {
  const std::string& folder = config.endpoints().state_dir();
  if (folder.empty()) return 1;
  TANDEM_RETURN_IF_ERROR(MakeDirs(folder));
  return IncrementCounterFile(folder + "/epoch");
}

absl::StatusOr<ServiceOptions> OptionsOfThisStart(const config::v1::RunConfig& config) {
  TANDEM_ASSIGN_OR_RETURN(const uint64_t start, CountStart(config));
  return OptionsFrom(config, start);
}

PolicyLoader MakePolicyLoader(const EnvironmentSpec& spec, const std::string& device) {
  return
      [spec, device](const snapshot::Snapshot& snapshot) -> absl::StatusOr<policy::LoadedPolicy> {
        TANDEM_ASSIGN_OR_RETURN(const nn::TensorFile file, snapshot.Parse());
        return policy::LoadPolicy(file, spec, device, /*with_critic=*/false);
      };
}

}  // namespace tandem::actor
