#include "services/monitor/serve.h"

#include "absl/time/clock.h"
#include "common/base/executor.h"
#include "common/base/status_macros.h"
#include "common/nn/device.h"
#include "common/snapshot/snapshot_service.h"
#include "services/monitor/service.h"
#include "services/monitor/web/monitor_source.h"

namespace tandem::monitor {
namespace {

/// Within it a page that is open asks once more.
constexpr absl::Duration kPageInterval = absl::Milliseconds(1500);

/// Lets the dashboard say that the run is over, where it is; for how long it should go on answering
/// so that the pages that look on hear of it.
absl::Duration TellOfTheEnd(const ServedDashboard& served, const std::string& state_dir) {
  if (served.dashboard == nullptr) return absl::ZeroDuration();
  std::optional<RunEnd> end = ReadRunEnd(state_dir);
  if (!end.has_value()) return absl::ZeroDuration();
  served.dashboard->End(*std::move(end));
  return served.dashboard->Watched() ? kPageInterval : absl::ZeroDuration();
}

}  // namespace

absl::Status Serve(ServiceOptions options) {
  TANDEM_RETURN_IF_ERROR(nn::ConfigureThreads(1));
  metrics::Registry registry;
  const auto replay = ConnectReplay(options.replay_buffer);
  const auto models = snapshot::WatchRemote(options.model_trainer, snapshot::kModelSeries,
                                            options.member, registry);
  const auto policies =
      snapshot::WatchRemote(options.policy_trainer, snapshot::kPolicySeries, options.member,
                            registry, absl::Seconds(2), options.monitor.policy_stride,
                            /*sparse=*/true);
  TANDEM_ASSIGN_OR_RETURN(const auto judge, Judge::Create(options.judge, Clock::Real(), &registry));
  const std::string device = options.device;
  const MonitorDeps deps = {
      replay.get(),
      models.get(),
      policies.get(),
      [device](const auto& f, const auto& s) { return dynamics::LoadDynamicsModel(f, s, device); },
      [device](const auto& f, const auto& s) { return policy::LoadPolicy(f, s, device); },
      Clock::Real(),
      &registry,
      judge.get()};
  TANDEM_ASSIGN_OR_RETURN(const auto core, Monitor::Create(options.monitor, deps));
  TANDEM_ASSIGN_OR_RETURN(
      const auto dashboard,
      ServeDashboard(options.dashboard, SourceOf(core.get(), judge.get()), Clock::Real()));
  options.server.more_endpoints = {{"dashboard", dashboard.address()}};
  // Each watcher of directives may have a task in the queue.
  Executor executor(/*threads=*/1, /*max_queue=*/1024);
  MonitorServiceImpl service(core.get(), judge.get(), &executor,
                             dashboard.server == nullptr ? "" : "http://" + dashboard.address());
  options.server.services = {&service};
  options.server.live_calls = {service.live_calls()};
  options.server.registry = &registry;
  TANDEM_ASSIGN_OR_RETURN(const auto runner, rpc::ServerRunner::Start(options.server));
  judge->Start();
  core->Start();
  runner->SetServing(true);
  runner->WaitForSignal();
  const absl::Time until = absl::Now() + TellOfTheEnd(dashboard, options.dashboard.state_dir);
  core->Stop();
  judge->Stop();
  runner->Drain(options.drain);
  absl::SleepFor(until - absl::Now());
  return absl::OkStatus();
}

}  // namespace tandem::monitor
