#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/snapshot/snapshot.h"

namespace tandem::snapshot {

/// The place of the newest snapshot of a series, and where its readers wait. Thread-safe.
class SnapshotSlot {
 public:
  static constexpr size_t kMostEarlier = 64;
  static constexpr size_t kMostEarlierBytes = size_t{32} << 20;

  /// keep_earlier: also holds snapshots before the newest, at most kMostEarlier of together
  /// kMostEarlierBytes.
  explicit SnapshotSlot(bool keep_earlier) : keep_earlier_(keep_earlier) {}

  /// Puts `snapshot` in and wakes who waits for it. Never blocks.
  void Put(std::shared_ptr<const Snapshot> snapshot);
  /// As in SnapshotSource.
  std::shared_ptr<const Snapshot> Latest();
  std::vector<std::shared_ptr<const Snapshot>> Since(Version have, uint64_t stride);
  std::shared_ptr<const Snapshot> WaitNewer(Version have, absl::Duration timeout);
  void Stop();

 private:
  const bool keep_earlier_;
  Mutex mu_;
  CondVar changed_;
  std::deque<std::shared_ptr<const Snapshot>> held_ ABSL_GUARDED_BY(mu_);  // oldest first
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;                                  // of held_
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace tandem::snapshot
