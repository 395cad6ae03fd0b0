#pragma once

#include <memory>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/snapshot/snapshot.h"

namespace tandem::snapshot {

/// The place of the newest snapshot of a series, and where its readers wait. Thread-safe.
class SnapshotSlot {
 public:
  /// Puts `snapshot` in and wakes who waits for it. Never blocks.
  void Put(std::shared_ptr<const Snapshot> snapshot);
  /// As in SnapshotSource.
  std::shared_ptr<const Snapshot> Latest();
  std::shared_ptr<const Snapshot> WaitNewer(Version have, absl::Duration timeout);
  void Stop();

 private:
  Mutex mu_;
  CondVar changed_;
  std::shared_ptr<const Snapshot> latest_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace tandem::snapshot
