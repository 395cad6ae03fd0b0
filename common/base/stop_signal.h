#pragma once

#include <atomic>

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace tandem {

/// Tells one thread that another wants it to end, and wakes it from its pauses. Thread-safe.
class StopSignal {
 public:
  /// Ends every pause, now and later. Idempotent.
  void Stop();
  /// Cheap enough to be asked in an inner loop.
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  /// Blocks for `time` of real time, or until Stop(). Returns false once stopped.
  bool Sleep(absl::Duration time);

 private:
  Mutex mu_;
  CondVar wake_;
  std::atomic<bool> stopped_{false};  // written under mu_, so that no sleeper misses the wake
};

}  // namespace tandem
