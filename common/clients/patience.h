#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "common/rpc/call_scope.h"
#include "common/rpc/channel.h"

namespace tandem::clients {

/// Longest pause between two tries to have a server again.
inline constexpr absl::Duration kMaxPause = absl::Seconds(30);
/// How long a request is sent again to a server that cannot be reached. One that can may take its
/// time.
inline constexpr absl::Duration kReconnect = absl::Seconds(5);
/// How soon a wait that cannot be woken notices that it is to end.
inline constexpr absl::Duration kStopPoll = absl::Milliseconds(20);

/// So many good steps after a failure it is forgotten.
inline constexpr int64_t kHealthySteps = 100;

/// The pauses before the tries to have something again that fails again and again: none before the
/// first, then from 0.1 s to kMaxPause. Not thread-safe.
class RetryPace {
 public:
  absl::Duration Next() {
    return std::exchange(failed_, true) ? backoff_.Next() : absl::ZeroDuration();
  }
  /// Forgets what failed before.
  void Reset() {
    failed_ = false;
    backoff_.Reset();
  }

 private:
  bool failed_ = false;
  rpc::Backoff backoff_{kMaxPause};
};

/// The end of a wait that begins now.
inline std::chrono::steady_clock::time_point After(absl::Duration timeout) {
  return std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(timeout);
}

/// Sleeps for `pause`; false, soon, once the calls are stopped.
inline bool SleepUnlessStopped(rpc::CallSet& calls, absl::Duration pause) {
  const auto end = After(pause);
  while (!calls.stopped() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_until(std::min(end, After(kStopPoll)));
  }
  return !calls.stopped();
}

}  // namespace tandem::clients
