#include "common/snapshot/snapshot_store.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace tandem::snapshot {

SnapshotStore::SnapshotStore(std::string series, uint64_t epoch)
    : series_(std::move(series)), epoch_(epoch) {
  TANDEM_CHECK(epoch >= 1);
}

absl::StatusOr<std::shared_ptr<const Snapshot>> SnapshotStore::Publish(const nn::TensorFile& file) {
  auto snapshot = std::make_shared<Snapshot>();
  TANDEM_ASSIGN_OR_RETURN(std::string bytes, nn::WriteSafetensors(file));
  snapshot->hash = ContentHash(bytes);
  snapshot->bytes = std::make_shared<const std::string>(std::move(bytes));
  {
    MutexLock lock(publish_mu_);
    snapshot->version = {epoch_, ++version_};
    slot_.Put(snapshot);
  }
  MutexLock lock(listeners_mu_);
  for (const auto& [id, listener] : listeners_) listener();
  return snapshot;
}

int SnapshotStore::Subscribe(std::function<void()> listener) {
  MutexLock lock(listeners_mu_);
  listeners_.emplace_back(next_subscription_, std::move(listener));
  return next_subscription_++;
}

void SnapshotStore::Unsubscribe(int subscription) {
  MutexLock lock(listeners_mu_);
  std::erase_if(listeners_, [=](const auto& entry) { return entry.first == subscription; });
}

}  // namespace tandem::snapshot
