#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/time/time.h"
#include "common/rpc/call_scope.h"

namespace tandem::clients {

/// Longest pause between two tries to have a server again.
inline constexpr absl::Duration kMaxPause = absl::Seconds(30);
/// How long a request is sent again to a server that cannot be reached. One that can may take its
/// time.
inline constexpr absl::Duration kReconnect = absl::Seconds(5);
/// How soon a wait that cannot be woken notices that it is to end.
inline constexpr absl::Duration kStopPoll = absl::Milliseconds(20);

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
