#include "common/training/peer_wait.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace tandem::training {
namespace {

constexpr absl::Duration kAdvanceWait = absl::Seconds(5);
constexpr absl::Duration kLogEach = absl::Seconds(5);

}  // namespace

PeerWait::PeerWait(std::string what, StopSignal& stop, Clock& clock)
    : what_(std::move(what)), stop_(stop), clock_(clock) {}

bool PeerWait::Pause(const absl::Status& why) {
  if (stop_.stopped()) return false;
  const absl::Duration now = clock_.Monotonic();
  if (tries_ == 0) since_ = now;
  if (tries_ == 0 || now - logged_ >= kLogEach) {
    LogWarning(absl::StrCat("waiting for ", what_, ", ", absl::ToInt64Seconds(now - since_),
                            " s: ", why.ToString()));
    logged_ = now;
  }
  const absl::Duration pause =
      std::min(absl::Seconds(2), absl::Milliseconds(100) * (1 << std::min(tries_, 5)));
  ++tries_;
  return stop_.Sleep(pause);
}

void PeerWait::Succeeded() {
  if (tries_ == 0) return;
  LogInfo(absl::StrCat(what_, " answers after ", absl::ToInt64Seconds(waited()), " s"));
  tries_ = 0;
}

absl::Duration PeerWait::waited() const {
  return tries_ == 0 ? absl::ZeroDuration() : clock_.Monotonic() - since_;
}

absl::StatusOr<EnvironmentSpec> WaitForSpec(ReplayClient& replay, StopSignal& stop, Clock& clock) {
  PeerWait wait("the replay buffer", stop, clock);
  while (!stop.stopped()) {
    const absl::StatusOr<ReplayStatus> status = replay.GetStatus();
    if (status.ok() && status->spec.has_value()) {
      wait.Succeeded();
      return *status->spec;
    }
    const absl::Status why =
        status.ok() ? absl::UnavailableError("no actor has announced its environment yet")
                    : status.status();
    if (!wait.Pause(why)) break;
  }
  return absl::CancelledError("stopped while waiting for the replay buffer");
}

absl::StatusOr<Grant> WaitForGrant(ReplayClient& replay, StopSignal& stop, Clock& clock,
                                   metrics::Counter& waiting_seconds,
                                   const std::function<Progress()>& progress,
                                   const std::function<void()>& after_pause) {
  const absl::Duration start = clock.Monotonic();
  PeerWait wait("the replay buffer", stop, clock);
  while (!stop.stopped()) {
    absl::StatusOr<Grant> grant = replay.Advance(progress(), kAdvanceWait);
    if (grant.ok()) {
      wait.Succeeded();
      waiting_seconds.Increment(absl::ToDoubleSeconds(clock.Monotonic() - start));
      return grant;
    }
    if (!wait.Pause(grant.status())) break;
    if (after_pause) after_pause();
  }
  return absl::CancelledError("stopped");
}

}  // namespace tandem::training
