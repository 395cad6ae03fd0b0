#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/snapshot/snapshot.h"
#include "common/snapshot/snapshot_slot.h"

namespace tandem::snapshot {

/// Holds the newest snapshots of one series: a publisher and a source in one, which is what a
/// service serves from, and the in-memory fake of tests. Thread-safe.
class SnapshotStore : public SnapshotPublisher, public SnapshotSource {
 public:
  /// epoch: grows with each start of the publisher, >= 1.
  SnapshotStore(std::string series, uint64_t epoch);

  absl::StatusOr<std::shared_ptr<const Snapshot>> Publish(const nn::TensorFile& file) override;
  std::shared_ptr<const Snapshot> Latest() override { return slot_.Latest(); }
  std::vector<std::shared_ptr<const Snapshot>> Since(Version have, uint64_t stride) override {
    return slot_.Since(have, stride);
  }
  std::shared_ptr<const Snapshot> WaitNewer(Version have, absl::Duration timeout) override {
    return slot_.WaitNewer(have, timeout);
  }
  void Stop() override { slot_.Stop(); }

  const std::string& series() const { return series_; }
  uint64_t epoch() const { return epoch_; }

  /// Calls `listener` after each publication, from the publisher's thread: it must not block.
  /// Returns a number for Unsubscribe, which waits for a running call of that listener to return.
  int Subscribe(std::function<void()> listener);
  void Unsubscribe(int subscription);

 private:
  const std::string series_;
  const uint64_t epoch_;
  SnapshotSlot slot_{/*keep_earlier=*/true};
  Mutex publish_mu_;  // orders the publications; taken first
  uint64_t version_ ABSL_GUARDED_BY(publish_mu_) = 0;
  Mutex listeners_mu_;  // held while listeners run
  std::vector<std::pair<int, std::function<void()>>> listeners_ ABSL_GUARDED_BY(listeners_mu_);
  int next_subscription_ ABSL_GUARDED_BY(listeners_mu_) = 1;
};

}  // namespace tandem::snapshot
