#include "common/clients/session_recovery.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

constexpr absl::Duration kFaultInterval = absl::Seconds(5);

/// Whether trying again cannot help. The arguments were accepted before, so INVALID_ARGUMENT is the
/// trouble of a server that is not itself yet.
bool IsForGood(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsUnimplemented(status) ||
         absl::IsCancelled(status);
}

}  // namespace

SessionRecovery::SessionRecovery(Options options)
    : options_(std::move(options)),
      next_fault_(Clock::Real()->Monotonic() + kFaultInterval),
      thread_([this] { Run(); }) {}

SessionRecovery::~SessionRecovery() {
  thread_.join();
  MutexLock lock(mu_);
  EnvironmentServer& server = *options_.server;
  if (result_ && result_->ok()) {
    if (!server.Gone((*result_)->incarnation)) server.CloseSession((*result_)->session->id());
  } else if (!taken_ && !options_.order.lost.empty()) {
    server.CloseSession(options_.order.lost);
  }
}

void SessionRecovery::Run() {
  EnvironmentServer& server = *options_.server;
  rpc::PeerLog log("environments", server.address());
  while (SleepUnlessStopped(*options_.calls, options_.pace.Next())) {
    const uint64_t incarnation = server.process() ? server.process()->incarnation() : 0;
    absl::StatusOr<OpenedSession> opened = server.OpenSession(options_.calls, options_.order);
    if (opened.ok() || IsForGood(opened.status())) {
      if (opened.ok()) log.Connected();
      MutexLock lock(mu_);
      result_ = std::move(opened);
      changed_.NotifyAll();
      return;
    }
    log.Failed(opened.status());
    TellFault(opened.status(), incarnation);
  }
}

void SessionRecovery::TellFault(const absl::Status& status, uint64_t incarnation) {
  const absl::Duration now = Clock::Real()->Monotonic();
  if (now < next_fault_) return;
  next_fault_ = now + kFaultInterval;
  EnvironmentServer& server = *options_.server;
  EnvironmentFault fault = server.Explain(status, incarnation);
  fault.message = absl::StrCat("no new session: ", fault.message);
  MutexLock lock(mu_);
  faults_.push_back(std::move(fault));
}

std::optional<absl::StatusOr<OpenedSession>> SessionRecovery::Take(absl::Duration timeout) {
  const auto deadline = After(timeout);
  MutexLock lock(mu_);
  while (!result_ && !options_.calls->stopped() && std::chrono::steady_clock::now() < deadline) {
    changed_.WaitUntil(mu_, deadline);
  }
  if (result_ && !result_->ok()) return result_->status();
  taken_ = result_.has_value();
  return std::exchange(result_, std::nullopt);
}

std::vector<EnvironmentFault> SessionRecovery::TakeFaults() {
  MutexLock lock(mu_);
  return std::exchange(faults_, {});
}

}  // namespace tandem::clients
