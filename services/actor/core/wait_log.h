#pragma once

#include <string_view>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace tandem::actor {

/// Says in the log what a wait is for, and for how long it has lasted, every 5 s; a shorter wait
/// leaves no line. Not thread-safe.
class WaitLog {
 public:
  /// Begins a wait now. The clock outlives this.
  explicit WaitLog(Clock& clock);

  /// Call now and then while the wait lasts: "waiting for `what`, 12 s".
  void Tick(std::string_view what);
  /// The wait is over; the next Tick begins another.
  void Reset();

 private:
  Clock& clock_;
  absl::Duration begin_;
  absl::Duration next_line_;
};

}  // namespace tandem::actor
