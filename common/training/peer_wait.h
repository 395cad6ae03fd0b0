#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/clients/replay_client.h"
#include "common/data/replay_types.h"
#include "common/data/spec.h"
#include "common/metrics/registry.h"

namespace tandem::training {

/// Paces the retries against one peer, and tells the operator what is waited for: a line at once,
/// then one each 5 s, and one when the peer is back. Services wait for absent peers for ever.
///
///   PeerWait wait("the replay buffer", stop, clock);
///   while (!(status = Call()).ok()) {
///     if (!wait.Pause(status)) return absl::CancelledError("stopped");
///   }
///   wait.Succeeded();
///
/// Not thread-safe. The signal and the clock outlive it.
class PeerWait {
 public:
  PeerWait(std::string what, StopSignal& stop, Clock& clock);

  /// Blocks before the next try: 0.1 s, doubling to 2 s. Returns false once stopped.
  bool Pause(const absl::Status& why);
  /// Ends a series of failures; cheap, to be called after each success.
  void Succeeded();
  /// Time since the first failure of the series; zero where there is none.
  absl::Duration waited() const;

 private:
  const std::string what_;
  StopSignal& stop_;
  Clock& clock_;
  int tries_ = 0;
  absl::Duration since_;
  absl::Duration logged_;
};

/// Waits until the replay buffer knows the run's environment. CANCELLED once stopped; every other
/// failure is waited out.
absl::StatusOr<EnvironmentSpec> WaitForSpec(ReplayClient& replay, StopSignal& stop, Clock& clock);

/// Asks the replay buffer what this side may do next, 5 s a call, until it answers, and adds the
/// time that took to `waiting_seconds`. progress: what the side reports, anew with each call.
/// after_pause: called before a call that follows a failed one; may be empty. CANCELLED once
/// stopped.
absl::StatusOr<Grant> WaitForGrant(ReplayClient& replay, StopSignal& stop, Clock& clock,
                                   metrics::Counter& waiting_seconds,
                                   const std::function<Progress()>& progress,
                                   const std::function<void()>& after_pause = {});

}  // namespace tandem::training
