#include "common/clients/session_recovery.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

constexpr absl::Duration kMaxPause = absl::Seconds(30);
constexpr absl::Duration kFaultInterval = absl::Seconds(5);
constexpr absl::Duration kStopPoll = absl::Milliseconds(50);

std::chrono::steady_clock::time_point After(absl::Duration timeout) {
  return std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(timeout);
}

/// Whether trying again cannot help.
bool IsForGood(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status) ||
         absl::IsUnimplemented(status) || absl::IsCancelled(status);
}

}  // namespace

SessionRecovery::SessionRecovery(Options options)
    : options_(std::move(options)),
      next_fault_(Clock::Real()->Monotonic() + kFaultInterval),
      thread_([this] { Run(); }) {}

SessionRecovery::~SessionRecovery() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void SessionRecovery::Run() {
  EnvironmentServer& server = *options_.server;
  rpc::PeerLog log("environments", server.address());
  rpc::Backoff backoff(kMaxPause);
  for (;;) {
    const uint64_t incarnation = server.process() ? server.process()->incarnation() : 0;
    absl::StatusOr<OpenedSession> opened = server.OpenSession(
        options_.calls, options_.expected, options_.num_envs, options_.seed, options_.lost);
    if (opened.ok() || IsForGood(opened.status())) {
      if (opened.ok()) log.Connected();
      MutexLock lock(mu_);
      result_ = std::move(opened);
      changed_.NotifyAll();
      return;
    }
    log.Failed(opened.status());
    TellFault(opened.status(), incarnation);
    if (!Pause(backoff.Next())) return;
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

bool SessionRecovery::Pause(absl::Duration pause) {
  const auto end = After(pause);
  MutexLock lock(mu_);
  while (!stopping_ && !options_.calls->stopped() && std::chrono::steady_clock::now() < end) {
    changed_.WaitUntil(mu_, std::min(end, After(kStopPoll)));
  }
  return !stopping_ && !options_.calls->stopped();
}

std::optional<absl::StatusOr<OpenedSession>> SessionRecovery::Take(absl::Duration timeout) {
  const auto deadline = After(timeout);
  MutexLock lock(mu_);
  while (!result_ && !options_.calls->stopped() && std::chrono::steady_clock::now() < deadline) {
    changed_.WaitUntil(mu_, deadline);
  }
  if (result_ && !result_->ok()) return result_->status();
  return std::exchange(result_, std::nullopt);
}

std::vector<EnvironmentFault> SessionRecovery::TakeFaults() {
  MutexLock lock(mu_);
  return std::exchange(faults_, {});
}

}  // namespace tandem::clients
