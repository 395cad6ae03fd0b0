#include <memory>
#include <utility>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/clients/environments.h"
#include "common/clients/replay_client.h"
#include "common/config/service_flags.h"
#include "common/nn/device.h"
#include "common/rpc/server_runner.h"
#include "common/snapshot/snapshot_service.h"
#include "common/training/serve_until_signal.h"
#include "services/actor/options.h"

namespace tandem::actor {
namespace {

absl::Status Serve(ServiceOptions options) {
  // A batch of observations is small: more threads would only cost the trainers theirs.
  TANDEM_RETURN_IF_ERROR(nn::ConfigureThreads(1));
  TANDEM_ASSIGN_OR_RETURN(const auto environments,
                          EnvironmentProvider::Create(options.environment));
  TANDEM_ASSIGN_OR_RETURN(auto training_envs,
                          environments->Make(options.num_envs, options.environment_seed));
  TANDEM_ASSIGN_OR_RETURN(auto evaluation_envs, environments->Make(options.evaluation_episodes,
                                                                   options.actor.evaluation_seed));
  metrics::Registry registry;
  const std::unique_ptr<ReplayClient> replay = ConnectReplay(options.actor.replay_buffer);
  const auto policies = snapshot::WatchRemote(options.actor.policy_trainer, snapshot::kPolicySeries,
                                              options.actor.member, registry);
  const auto directives = WatchDirectives(options.actor.monitor, coadaptation::Receiver::kActor,
                                          options.actor.member, registry);
  PolicyLoader loader = MakePolicyLoader(training_envs->spec(), options.device);
  ActorCore core(options.actor,
                 {std::move(training_envs), std::move(evaluation_envs), *replay, *policies,
                  std::move(loader), *Clock::Real(), registry, directives.get()});
  options.server.registry = &registry;
  return training::ServeUntilSignal(
      options.server, options.drain,
      [&](const training::SetServing& set_serving) { return core.Run(set_serving); },
      [&] { core.Stop(); });
}

}  // namespace
}  // namespace tandem::actor

int main(int argc, char** argv) {
  const auto args = tandem::config::ParseServiceArgs(
      argc, argv, "actor", "Plays the environments and evaluates the policy.");
  if (args.exit) return args.exit_code;
  tandem::rpc::BlockSignals();
  auto options = tandem::actor::OptionsOfThisStart(args.config);
  if (!options.ok()) return tandem::config::RefuseOptions("actor", options.status());
  tandem::InitLog(args.config.endpoints().member());
  const absl::Status status = tandem::actor::Serve(*std::move(options));
  if (!status.ok()) tandem::LogError(status.ToString());
  return status.ok() ? 0 : 1;
}
