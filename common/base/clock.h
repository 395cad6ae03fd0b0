#pragma once

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace tandem {

/// The time, behind an interface so that tests decide what it is. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall time, for display and logs only: it may jump.
  virtual absl::Time Now() = 0;
  /// Time since an arbitrary start; never goes back. Use it for every duration and timeout.
  virtual absl::Duration Monotonic() = 0;

  /// The real clock; lives for ever.
  static Clock* Real();
};

/// A clock that stands still until it is told to move. Thread-safe.
class FakeClock : public Clock {
 public:
  absl::Time Now() override;
  absl::Duration Monotonic() override;
  void Advance(absl::Duration by);

 private:
  Mutex mu_;
  absl::Duration elapsed_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
};

}  // namespace tandem
