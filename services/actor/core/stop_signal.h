#pragma once

#include <chrono>

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace tandem {

/// Ends waits: sleeps that a Stop() from another thread cuts short. Thread-safe.
class StopSignal {
 public:
  void Stop() {
    MutexLock lock(mu_);
    stopped_ = true;
    changed_.NotifyAll();
  }

  bool stopped() {
    MutexLock lock(mu_);
    return stopped_;
  }

  /// Blocks for `duration` or until Stop().
  void Sleep(absl::Duration duration) {
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
    MutexLock lock(mu_);
    while (!stopped_ && changed_.WaitUntil(mu_, deadline)) {
    }
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace tandem
