#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/waiting_threads.h"
#include "common/config/service_flags.h"
#include "common/nn/device.h"
#include "common/rpc/server_runner.h"
#include "common/snapshot/snapshot_service.h"
#include "common/training/serve_until_signal.h"
#include "common/training/start_epoch.h"
#include "services/policy_trainer/options.h"

namespace tandem::policy_trainer {
namespace {

absl::Status Serve(ServiceOptions options) {
  TANDEM_RETURN_IF_ERROR(nn::ConfigureThreads(options.threads));
  TANDEM_ASSIGN_OR_RETURN(const uint64_t epoch, training::StartEpoch(options.server.state_dir));
  metrics::Registry metrics;
  snapshot::SnapshotStore store(snapshot::kPolicySeries, epoch);
  const auto snapshots = snapshot::SnapshotServer::Create({&store}, metrics);
  const auto replay = ConnectReplay(options.replay_buffer);
  const auto models = snapshot::WatchRemote(options.model_trainer, snapshot::kModelSeries,
                                            options.trainer.member, metrics);
  const auto directives = WatchDirectives(options.monitor, coadaptation::Receiver::kPolicyTrainer,
                                          options.trainer.member, metrics);
  const std::string& device = options.learner.device;
  PolicyTrainer trainer(
      options.trainer,
      {*replay, *models, store, *Clock::Real(), metrics,
       [&](const auto& spec) { return policy::SacLearner::Create(spec, options.learner); },
       [&](const auto& f, const auto& s) { return dynamics::LoadDynamicsModel(f, s, device); },
       directives.get(),
       [&](auto& f, auto& s) { return objective::TransitionClassifier::Load(f, s, device); }});
  options.server.services = {snapshots->service()};
  options.server.live_calls = {snapshots->live_calls()};
  options.server.registry = &metrics;
  return training::ServeUntilSignal(
      options.server, options.drain, [&] { return trainer.Run(); }, [&] { trainer.Stop(); });
}

}  // namespace
}  // namespace tandem::policy_trainer

int main(int argc, char** argv) {
  tandem::SleepWhileWaiting(argv);
  const auto args =
      tandem::config::ParseServiceArgs(argc, argv, "policy_trainer", "Trains the policy.");
  if (args.exit) return args.exit_code;
  tandem::rpc::BlockSignals();
  auto options = tandem::policy_trainer::OptionsFrom(args.config);
  if (!options.ok()) return tandem::config::RefuseOptions("policy_trainer", options.status());
  tandem::InitLog(options->trainer.member);
  const absl::Status status = tandem::policy_trainer::Serve(*std::move(options));
  // Rewards that the objective cannot take: a restart would meet them again.
  if (absl::IsInvalidArgument(status))
    return tandem::config::RefuseOptions("policy_trainer", status);
  if (!status.ok()) tandem::LogError(status.ToString());
  return status.ok() ? 0 : 1;
}
