#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/rpc/pull_stream.h"
#include "common/snapshot/assembler.h"
#include "common/snapshot/snapshot_service.h"
#include "tandem/snapshot/v1/snapshot.grpc.pb.h"

namespace tandem::snapshot {
namespace {

constexpr size_t kMaxWatcherName = 128;

/// One store with the figures about it and its watchers. Thread-safe.
class Series {
 public:
  Series(SnapshotStore& store, metrics::Registry& registry)
      : store_(store),
        version_(registry.AddGauge("tandem_snapshot_version",
                                   "Version of the newest snapshot published here, in its epoch.",
                                   {{"series", store.series()}})),
        size_(registry.AddGauge("tandem_snapshot_size_bytes",
                                "Size of the newest snapshot published here [bytes].",
                                {{"series", store.series()}})),
        watchers_(registry.AddGauge("tandem_snapshot_watchers",
                                    "Processes that watch the snapshots published here.",
                                    {{"series", store.series()}})),
        lag_(registry.AddGauge(
            "tandem_snapshot_watcher_lag_versions",
            "Versions by which the slowest watcher is behind the newest snapshot; NaN without one.",
            {{"series", store.series()}})),
        sent_(registry.AddCounter("tandem_snapshot_sent_total", "Whole snapshots sent to watchers.",
                                  {{"series", store.series()}})),
        sent_bytes_(registry.AddCounter("tandem_snapshot_sent_bytes_total",
                                        "Bytes of snapshots sent to watchers.",
                                        {{"series", store.series()}})) {
    subscription_ = store_.Subscribe([this] { Update(); });
    Update();
  }
  ~Series() { store_.Unsubscribe(subscription_); }

  SnapshotStore& store() { return store_; }

  /// have: nullopt for a watcher that does not want the newest; it is never behind.
  void Join(const void* watcher, std::optional<Version> have) {
    {
      MutexLock lock(mu_);
      have_[watcher] = have;
    }
    Update();
  }
  void Leave(const void* watcher) {
    {
      MutexLock lock(mu_);
      have_.erase(watcher);
    }
    Update();
  }
  void SentPart(size_t bytes) { sent_bytes_.Increment(static_cast<double>(bytes)); }
  void SentWhole() { sent_.Increment(); }

 private:
  void Update() {
    MutexLock lock(mu_);
    const auto latest = store_.Latest();
    watchers_.Set(static_cast<double>(have_.size()));
    if (latest == nullptr) return;
    version_.Set(static_cast<double>(latest->version.version));
    size_.Set(static_cast<double>(latest->bytes->size()));
    uint64_t behind = 0;
    bool any = false;
    for (const auto& [watcher, have] : have_) {
      if (!have.has_value()) continue;
      any = true;
      const uint64_t version = have->epoch == latest->version.epoch ? have->version : 0;
      behind =
          std::max(behind, latest->version.version - std::min(version, latest->version.version));
    }
    lag_.Set(any ? static_cast<double>(behind) : std::numeric_limits<double>::quiet_NaN());
  }

  SnapshotStore& store_;
  metrics::Gauge& version_;
  metrics::Gauge& size_;
  metrics::Gauge& watchers_;
  metrics::Gauge& lag_;
  metrics::Counter& sent_;
  metrics::Counter& sent_bytes_;
  int subscription_;
  Mutex mu_;
  // By watcher: the last it got whole.
  std::map<const void*, std::optional<Version>> have_ ABSL_GUARDED_BY(mu_);
};

/// Sends the newest snapshot in parts, then whatever has become the newest meanwhile, and before it
/// the multiples of the stride that are still held.
class WatchStream : public rpc::PullStream<v1::WatchResponse> {
 public:
  WatchStream(Series& series, const v1::WatchRequest& request, Executor& executor,
              rpc::LiveCallSet& live)
      : PullStream(executor, live),
        series_(series),
        stride_(request.stride()),
        sparse_(request.sparse()),
        once_(request.once()),
        have_{request.have_epoch(), request.have_version()} {
    Joined();
    subscription_ = series_.store().Subscribe([this] { Wake(); });
  }
  ~WatchStream() override {
    series_.store().Unsubscribe(subscription_);
    series_.Leave(this);
  }

 private:
  absl::StatusOr<rpc::Pull> Next(v1::WatchResponse& part) override {
    if (sending_ == nullptr) {
      auto newer = series_.store().Since(have_, stride_);
      if (newer.empty() || !Wanted(*newer.front())) {
        if (once_) End();
        return rpc::Pull::kWait;
      }
      sending_ = std::move(newer.front());
      offset_ = 0;
    }
    const std::string& bytes = *sending_->bytes;
    const uint64_t size = std::min<uint64_t>(kPartBytes, bytes.size() - offset_);
    part.set_epoch(sending_->version.epoch);
    part.set_version(sending_->version.version);
    part.set_total_size(bytes.size());
    part.set_offset(offset_);
    part.set_hash(sending_->hash);
    part.mutable_data()->assign(bytes, offset_, size);
    offset_ += size;
    series_.SentPart(size);
    if (offset_ == bytes.size()) {
      have_ = sending_->version;
      sending_ = nullptr;
      series_.SentWhole();
      Joined();
    }
    return rpc::Pull::kSend;
  }
  /// Since() begins with the newest only where there is nothing else.
  bool Wanted(const Snapshot& snapshot) const {
    return !sparse_ || (stride_ > 0 && snapshot.version.version % stride_ == 0);
  }
  void Joined() {
    series_.Join(this, sparse_ || once_ ? std::nullopt : std::optional<Version>(have_));
  }

  Series& series_;
  const uint64_t stride_;
  const bool sparse_;
  const bool once_;
  int subscription_;
  // Used by Next() alone.
  Version have_;
  std::shared_ptr<const Snapshot> sending_;  // null between snapshots
  uint64_t offset_ = 0;                      // of the next part
};

/// Answers a call with an error.
class Refusal : public grpc::ServerWriteReactor<v1::WatchResponse> {
 public:
  explicit Refusal(const absl::Status& status) { Finish(rpc::ToGrpc(status)); }

 private:
  void OnDone() override { delete this; }
};

class Server : public SnapshotServer, public v1::SnapshotService::CallbackService {
 public:
  Server(const std::vector<SnapshotStore*>& stores, metrics::Registry& registry) {
    for (SnapshotStore* store : stores) {
      series_.emplace(store->series(), std::make_unique<Series>(*store, registry));
    }
  }
  grpc::Service* service() override { return this; }
  rpc::LiveCalls* live_calls() override { return &live_; }

  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                     const v1::WatchRequest* request) override {
    absl::StatusOr<Series*> series = Find(*request);
    if (!series.ok()) return new Refusal(series.status());
    context->AddInitialMetadata(kAcceptedKey, "1");
    return (new WatchStream(**series, *request, executor_, live_))->Begin();
  }

 private:
  absl::StatusOr<Series*> Find(const v1::WatchRequest& request) {
    if (request.watcher().size() > kMaxWatcherName) {
      return absl::InvalidArgumentError(absl::StrCat("watcher: expected at most ", kMaxWatcherName,
                                                     " characters, got ",
                                                     request.watcher().size()));
    }
    const auto at = series_.find(request.name());
    if (at == series_.end()) {
      std::string names;
      for (const auto& [name, series] : series_) absl::StrAppend(&names, " \"", name, "\"");
      return absl::NotFoundError(
          absl::StrCat("no series \"", request.name().substr(0, 128), "\" here; there is", names));
    }
    const uint64_t epoch = at->second->store().epoch();
    if (request.have_epoch() > epoch) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the watcher holds epoch ", request.have_epoch(), " but the publisher is in epoch ",
          epoch, ": its state folder was lost or changed"));
    }
    return at->second.get();
  }

  std::map<std::string, std::unique_ptr<Series>> series_;  // constant after construction
  rpc::LiveCallSet live_;
  Executor executor_{/*threads=*/1, /*max_queue=*/4096};  // copies parts of at most 512 KiB
};

}  // namespace

std::unique_ptr<SnapshotServer> SnapshotServer::Create(std::vector<SnapshotStore*> stores,
                                                       metrics::Registry& registry) {
  return std::make_unique<Server>(stores, registry);
}

}  // namespace tandem::snapshot
