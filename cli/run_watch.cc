#include "cli/run_watch.h"

#include <chrono>
#include <utility>

namespace tandem::cli {
namespace {

constexpr absl::Duration kMonitorTimeout = absl::Seconds(2);

}  // namespace

void Refresh(ReplayClient& replay, MonitorClient& monitor, MemberClient& members,
             RunFigures* figures) {
  absl::StatusOr<ReplayStatus> status = replay.GetStatus();
  figures->replay_error = status.ok() ? "" : std::string(status.status().message());
  if (status.ok()) figures->replay = *std::move(status);
  absl::StatusOr<monitor::v1::GetReportResponse> report = monitor.GetReport(kMonitorTimeout);
  figures->monitor_error = report.ok() ? "" : std::string(report.status().message());
  if (report.ok()) figures->monitor = *std::move(report);
  members.Refresh(&figures->troubles);
}

RunWatch::RunWatch(std::unique_ptr<ReplayClient> replay, std::unique_ptr<MonitorClient> monitor,
                   std::unique_ptr<MemberClient> members, absl::Duration interval)
    : replay_(std::move(replay)),
      monitor_(std::move(monitor)),
      members_(std::move(members)),
      interval_(interval),
      thread_([this] { Loop(); }) {}

RunWatch::~RunWatch() {
  {
    MutexLock lock(mu_);
    stopped_ = true;
    wake_.NotifyAll();
  }
  replay_->Stop();
  thread_.join();
}

RunFigures RunWatch::Latest() {
  MutexLock lock(mu_);
  return figures_;
}

void RunWatch::Loop() {
  while (true) {
    RunFigures figures = Latest();
    Refresh(*replay_, *monitor_, *members_, &figures);
    MutexLock lock(mu_);
    figures_ = std::move(figures);
    const auto next = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(interval_);
    while (!stopped_ && wake_.WaitUntil(mu_, next)) {
    }
    if (stopped_) return;
  }
}

}  // namespace tandem::cli
