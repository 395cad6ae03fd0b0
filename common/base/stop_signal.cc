#include "common/base/stop_signal.h"

#include <chrono>

namespace tandem {

void StopSignal::Stop() {
  MutexLock lock(mu_);
  stopped_.store(true, std::memory_order_relaxed);
  wake_.NotifyAll();
}

bool StopSignal::Sleep(absl::Duration time) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time);
  MutexLock lock(mu_);
  while (!stopped() && wake_.WaitUntil(mu_, deadline)) {
  }
  return !stopped();
}

}  // namespace tandem
