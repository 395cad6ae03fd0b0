#include <sys/resource.h>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/config/service_flags.h"
#include "common/nn/device.h"
#include "common/snapshot/snapshot_service.h"
#include "services/monitor/options.h"
#include "services/monitor/service.h"

namespace tandem::monitor {
namespace {

absl::Status Serve(ServiceOptions options) {
  TANDEM_RETURN_IF_ERROR(nn::ConfigureThreads(1));
  metrics::Registry registry;
  const auto replay = ConnectReplay(options.replay_buffer);
  const auto models = snapshot::WatchRemote(options.model_trainer, snapshot::kModelSeries,
                                            options.member, registry);
  const auto policies = snapshot::WatchRemote(options.policy_trainer, snapshot::kPolicySeries,
                                              options.member, registry);
  const std::string device = options.device;
  const MonitorDeps deps = {
      replay.get(),
      models.get(),
      policies.get(),
      [device](const auto& f, const auto& s) { return dynamics::LoadDynamicsModel(f, s, device); },
      [device](const auto& f, const auto& s) { return policy::LoadPolicy(f, s, device); },
      Clock::Real(),
      &registry};
  TANDEM_ASSIGN_OR_RETURN(const auto core, Monitor::Create(options.monitor, deps));
  Executor executor(/*threads=*/1, /*max_queue=*/64);
  MonitorServiceImpl service(core.get(), &executor);
  options.server.services = {&service};
  options.server.registry = &registry;
  TANDEM_ASSIGN_OR_RETURN(const auto runner, rpc::ServerRunner::Start(options.server));
  core->Start();
  runner->SetServing(true);
  runner->WaitForSignal();
  core->Stop();
  runner->Drain(options.drain);
  return absl::OkStatus();
}

}  // namespace
}  // namespace tandem::monitor

int main(int argc, char** argv) {
  const auto args = tandem::config::ParseServiceArgs(
      argc, argv, "monitor", "Judges how far the policy exploits its model.");
  if (args.exit) return args.exit_code;
  tandem::rpc::BlockSignals();
  setpriority(PRIO_PROCESS, 0, 10);  // the run comes first; where it fails, nothing is lost
  auto options = tandem::monitor::OptionsFrom(args.config);
  if (!options.ok()) return tandem::config::RefuseOptions("monitor", options.status());
  tandem::InitLog(options->member);
  const absl::Status status = tandem::monitor::Serve(*std::move(options));
  if (!status.ok()) tandem::LogError(status.ToString());
  return status.ok() ? 0 : 1;
}
