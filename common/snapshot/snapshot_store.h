#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/snapshot/snapshot.h"

namespace tandem::snapshot {

/// Holds the newest snapshot of one series: a publisher and a source in one, which is what a service
/// serves from, and the in-memory fake of tests. Thread-safe.
class SnapshotStore : public SnapshotPublisher, public SnapshotSource {
 public:
  /// epoch: counts the starts of the publisher, >= 1.
  SnapshotStore(std::string series, uint64_t epoch);

  absl::StatusOr<std::shared_ptr<const Snapshot>> Publish(const nn::TensorFile& file) override;
  std::shared_ptr<const Snapshot> Latest() override;
  std::shared_ptr<const Snapshot> WaitNewer(Version have, absl::Duration timeout) override;
  void Stop() override;

  const std::string& series() const { return series_; }

  /// Calls `listener` after each publication, from the publisher's thread: it must not block. Returns
  /// a number for Unsubscribe, which waits for a running call of that listener to return.
  int Subscribe(std::function<void()> listener);
  void Unsubscribe(int subscription);

 private:
  const std::string series_;
  Mutex mu_;
  CondVar changed_;
  Version next_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const Snapshot> latest_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  Mutex listeners_mu_;  // taken after none, held while listeners run
  std::vector<std::pair<int, std::function<void()>>> listeners_ ABSL_GUARDED_BY(listeners_mu_);
  int next_subscription_ ABSL_GUARDED_BY(listeners_mu_) = 1;
};

}  // namespace tandem::snapshot
