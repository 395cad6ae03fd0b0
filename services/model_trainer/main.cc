#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/waiting_threads.h"
#include "common/config/service_flags.h"
#include "common/dynamics/simulator_model.h"
#include "common/nn/device.h"
#include "common/rpc/server_runner.h"
#include "common/snapshot/snapshot_service.h"
#include "common/training/serve_until_signal.h"
#include "common/training/start_epoch.h"
#include "services/model_trainer/options.h"

namespace tandem::model_trainer {
namespace {

absl::Status Serve(ServiceOptions options) {
  TANDEM_RETURN_IF_ERROR(nn::ConfigureThreads(options.threads));
  TANDEM_ASSIGN_OR_RETURN(const uint64_t epoch, training::StartEpoch(options.server.state_dir));
  metrics::Registry metrics;
  snapshot::SnapshotStore store(snapshot::kModelSeries, epoch);
  const auto snapshots = snapshot::SnapshotServer::Create({&store}, metrics);
  const auto replay = ConnectReplay(options.replay_buffer);
  const auto directives = WatchDirectives(options.monitor, coadaptation::Receiver::kModelTrainer,
                                          options.trainer.member, metrics);
  const auto policies = options.policy_trainer.empty()
                            ? nullptr
                            : snapshot::WatchRemote(options.policy_trainer, snapshot::kPolicySeries,
                                                    options.trainer.member, metrics);
  const auto make_learner = [&](const EnvironmentSpec& spec) {
    return options.simulator ? dynamics::MakeSimulatorLearner(spec)
                             : dynamics::EnsembleLearner::Create(spec, options.learner);
  };
  ModelTrainer trainer(options.trainer,
                       {*replay, store, *Clock::Real(), metrics, make_learner, directives.get(),
                        JointCompanionMaker(options.joint, policies.get(), metrics, *Clock::Real()),
                        policies.get()});
  options.server.services = {snapshots->service()};
  options.server.live_calls = {snapshots->live_calls()};
  options.server.registry = &metrics;
  return training::ServeUntilSignal(
      options.server, options.drain, [&] { return trainer.Run(); }, [&] { trainer.Stop(); });
}

}  // namespace
}  // namespace tandem::model_trainer

int main(int argc, char** argv) {
  tandem::SleepWhileWaiting(argv);
  const auto args = tandem::config::ParseServiceArgs(argc, argv, "model_trainer",
                                                     "Fits the learned model and publishes it.");
  if (args.exit) return args.exit_code;
  tandem::rpc::BlockSignals();
  auto options = tandem::model_trainer::OptionsFrom(args.config);
  if (!options.ok()) return tandem::config::RefuseOptions("model_trainer", options.status());
  tandem::InitLog(options->trainer.member);
  const absl::Status status = tandem::model_trainer::Serve(*std::move(options));
  if (!status.ok()) tandem::LogError(status.ToString());
  return status.ok() ? 0 : 1;
}
