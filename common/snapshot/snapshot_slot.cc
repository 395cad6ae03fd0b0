#include "common/snapshot/snapshot_slot.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tandem::snapshot {

void SnapshotSlot::Put(std::shared_ptr<const Snapshot> snapshot) {
  {
    MutexLock lock(mu_);
    latest_.swap(snapshot);
  }
  changed_.NotifyAll();
}

std::shared_ptr<const Snapshot> SnapshotSlot::Latest() {
  MutexLock lock(mu_);
  return latest_;
}

std::shared_ptr<const Snapshot> SnapshotSlot::WaitNewer(Version have, absl::Duration timeout) {
  // The clock cannot count to an endless timeout.
  const auto wait = absl::ToChronoMicroseconds(std::min(timeout, absl::Hours(24 * 365)));
  const auto deadline = std::chrono::steady_clock::now() + wait;
  MutexLock lock(mu_);
  for (bool in_time = true; !stopped_;) {
    if (latest_ != nullptr && IsNewer(latest_->version, have)) return latest_;
    if (!in_time) break;
    in_time = changed_.WaitUntil(mu_, deadline);
  }
  return nullptr;
}

void SnapshotSlot::Stop() {
  {
    MutexLock lock(mu_);
    stopped_ = true;
  }
  changed_.NotifyAll();
}

}  // namespace tandem::snapshot
