#include "common/snapshot/snapshot_slot.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tandem::snapshot {

void SnapshotSlot::Put(std::shared_ptr<const Snapshot> snapshot) {
  std::deque<std::shared_ptr<const Snapshot>> gone;  // freed without the lock
  {
    MutexLock lock(mu_);
    // A publisher that begins anew takes the place of all it published before.
    if (!held_.empty() && !(held_.back()->version < snapshot->version)) gone.swap(held_);
    if (held_.empty()) bytes_ = 0;
    bytes_ += snapshot->bytes->size();
    held_.push_back(std::move(snapshot));
    const size_t newest = held_.back()->bytes->size();
    while (held_.size() > 1 && (!keep_earlier_ || held_.size() > kMostEarlier + 1 ||
                                bytes_ - newest > kMostEarlierBytes)) {
      bytes_ -= held_.front()->bytes->size();
      gone.push_back(std::move(held_.front()));
      held_.pop_front();
    }
  }
  changed_.NotifyAll();
}

std::shared_ptr<const Snapshot> SnapshotSlot::Latest() {
  MutexLock lock(mu_);
  return held_.empty() ? nullptr : held_.back();
}

std::vector<std::shared_ptr<const Snapshot>> SnapshotSlot::Since(Version have, uint64_t stride) {
  std::vector<std::shared_ptr<const Snapshot>> found;
  MutexLock lock(mu_);
  for (const auto& snapshot : held_) {
    const bool wanted =
        snapshot == held_.back() || (stride > 0 && snapshot->version.version % stride == 0);
    if (wanted && IsNewer(snapshot->version, have)) found.push_back(snapshot);
  }
  return found;
}

std::shared_ptr<const Snapshot> SnapshotSlot::WaitNewer(Version have, absl::Duration timeout) {
  // The clock cannot count to an endless timeout.
  const auto wait = absl::ToChronoMicroseconds(std::min(timeout, absl::Hours(24 * 365)));
  const auto deadline = std::chrono::steady_clock::now() + wait;
  MutexLock lock(mu_);
  for (bool in_time = true; !stopped_;) {
    if (!held_.empty() && IsNewer(held_.back()->version, have)) return held_.back();
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
