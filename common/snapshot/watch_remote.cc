#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/stop_signal.h"
#include "common/rpc/call_scope.h"
#include "common/rpc/call_timer.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "common/snapshot/assembler.h"
#include "common/snapshot/snapshot_service.h"
#include "common/snapshot/snapshot_slot.h"
#include "tandem/snapshot/v1/snapshot.grpc.pb.h"

namespace tandem::snapshot {
namespace {

/// Who publishes a series, for the log.
std::string PublisherOf(const std::string& series) {
  if (series == kModelSeries) return "model_trainer";
  if (series == kPolicySeries) return "policy_trainer";
  return absl::StrCat("the publisher of \"", series, "\"");
}

struct Figures {
  Figures(const std::string& series, metrics::Registry& registry)
      : connected(registry.AddGauge("tandem_snapshot_connected",
                                    "Whether the publisher of the series is connected: 1 or 0.",
                                    {{"series", series}})),
        version(registry.AddGauge("tandem_snapshot_received_version",
                                  "Version of the newest snapshot received, in its epoch.",
                                  {{"series", series}})),
        received(registry.AddCounter("tandem_snapshot_received_total", "Whole snapshots received.",
                                     {{"series", series}})),
        received_bytes(registry.AddCounter("tandem_snapshot_received_bytes_total",
                                           "Bytes of snapshots received.", {{"series", series}})),
        damaged(
            registry.AddCounter("tandem_snapshot_damaged_total",
                                "Snapshots dropped because their parts or their hash did not fit.",
                                {{"series", series}})) {
    connected.Set(0);
  }
  metrics::Gauge& connected;
  metrics::Gauge& version;
  metrics::Counter& received;
  metrics::Counter& received_bytes;
  metrics::Counter& damaged;
};

class RemoteSource : public SnapshotSource {
 public:
  RemoteSource(const std::string& address, const std::string& series, const std::string& watcher,
               metrics::Registry& registry, absl::Duration timeout, uint64_t stride, bool sparse)
      : series_(series),
        watcher_(watcher),
        timeout_(timeout),
        stride_(stride),
        sparse_(sparse),
        figures_(series, registry),
        channel_(rpc::Connect(address, /*bulk=*/true)),
        stub_(v1::SnapshotService::NewStub(channel_)),
        slot_(/*keep_earlier=*/stride > 0),
        calls_(std::make_shared<rpc::CallSet>(absl::StrCat(PublisherOf(series), " at ", address))),
        peer_(PublisherOf(series), address),
        thread_([this] { Run(); }) {}
  ~RemoteSource() override {
    RemoteSource::Stop();
    thread_.join();
  }

  std::shared_ptr<const Snapshot> Latest() override { return slot_.Latest(); }
  std::vector<std::shared_ptr<const Snapshot>> Since(Version have, uint64_t stride) override {
    if (sparse_) Fetch();
    return slot_.Since(have, stride);
  }
  std::shared_ptr<const Snapshot> WaitNewer(Version have, absl::Duration timeout) override {
    return slot_.WaitNewer(have, timeout);
  }
  void Stop() override {
    stop_.Stop();
    calls_->Stop();
    slot_.Stop();
  }

 private:
  void Run();
  absl::Status WatchOnce();
  /// Gets what is newer than what is held, within timeout_.
  void Fetch();
  absl::Status FetchNewer(Version have);
  v1::WatchRequest RequestFrom(Version have) const;
  /// Waits until the publisher has accepted the call or refused it, at most timeout_.
  absl::Status WaitForAnswer(grpc::ClientContext& context,
                             grpc::ClientReader<v1::WatchResponse>& reader);
  /// Puts whole snapshots into the slot; `have` becomes the newest.
  absl::Status ReadAll(grpc::ClientReader<v1::WatchResponse>& reader, Version* have);
  void CountDamaged(const absl::Status& damage);
  /// The publisher knows nothing of what is held: what it sends next replaces that, whatever its
  /// version.
  void ForgetLife(const absl::Status& why);

  const std::string series_;
  const std::string watcher_;
  const absl::Duration timeout_;
  const uint64_t stride_;
  const bool sparse_;
  Figures figures_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::SnapshotService::Stub> stub_;
  SnapshotSlot slot_;
  StopSignal stop_;
  const std::shared_ptr<rpc::CallSet> calls_;
  Mutex put_mu_;    // what Fetch() got before the thread did is not put twice
  Mutex fetch_mu_;  // one fetch at a time; taken first
  // Used by the thread alone.
  rpc::PeerLog peer_;
  rpc::Backoff backoff_;
  Version have_;
  std::thread thread_;
};

absl::Status RemoteSource::ReadAll(grpc::ClientReader<v1::WatchResponse>& reader, Version* have) {
  Assembler assembler(*have);
  v1::WatchResponse part;
  while (reader.Read(&part)) {
    figures_.received_bytes.Increment(static_cast<double>(part.data().size()));
    absl::StatusOr<std::shared_ptr<const Snapshot>> snapshot = assembler.Add(part);
    if (!snapshot.ok()) return snapshot.status();
    if (*snapshot == nullptr) continue;
    *have = (*snapshot)->version;
    figures_.received.Increment();
    MutexLock lock(put_mu_);
    const auto latest = slot_.Latest();
    if (sparse_ && latest != nullptr && !IsNewer(*have, latest->version)) continue;
    figures_.version.Set(static_cast<double>(have->version));
    slot_.Put(*std::move(snapshot));
  }
  return absl::OkStatus();
}

void RemoteSource::CountDamaged(const absl::Status& damage) {
  figures_.damaged.Increment();
  LogWarning(
      absl::StrCat(calls_->peer(), " sent a snapshot that is not used: ", damage.ToString()));
}

v1::WatchRequest RemoteSource::RequestFrom(Version have) const {
  v1::WatchRequest request;
  request.set_name(series_);
  request.set_watcher(watcher_);
  request.set_have_epoch(have.epoch);
  request.set_have_version(have.version);
  request.set_stride(stride_);
  return request;
}

void RemoteSource::Fetch() {
  MutexLock lock(fetch_mu_);
  const auto latest = slot_.Latest();
  const Version have = latest == nullptr ? Version() : latest->version;
  // The thread tells of a publisher that cannot be reached.
  if (absl::IsFailedPrecondition(FetchNewer(have)) && have != Version()) {
    FetchNewer(Version()).IgnoreError();
  }
}

absl::Status RemoteSource::FetchNewer(Version have) {
  rpc::CallScope call(calls_);
  if (!call.started().ok()) return call.started();
  rpc::SetDeadline(call.context(), timeout_);
  v1::WatchRequest request = RequestFrom(have);
  request.set_once(true);
  const auto reader = stub_->Watch(&call.context(), request);
  const absl::Status damage = ReadAll(*reader, &have);
  if (!damage.ok()) {
    call.context().TryCancel();
    CountDamaged(damage);
  }
  return rpc::FromGrpc(reader->Finish());
}

absl::Status RemoteSource::WaitForAnswer(grpc::ClientContext& context,
                                         grpc::ClientReader<v1::WatchResponse>& reader) {
  if (!rpc::WaitUntilAccepted(&context, reader, timeout_)) {
    return absl::UnavailableError(
        absl::StrCat("connected, but no answer within ", absl::FormatDuration(timeout_)));
  }
  if (context.GetServerInitialMetadata().count(kAcceptedKey) > 0) {
    figures_.connected.Set(1);
    peer_.Connected();
  }
  return absl::OkStatus();
}

absl::Status RemoteSource::WatchOnce() {
  rpc::CallScope call(calls_);
  if (!call.started().ok()) return call.started();
  v1::WatchRequest request = RequestFrom(have_);
  request.set_sparse(sparse_);
  auto reader = stub_->Watch(&call.context(), request);
  const absl::Status answer = WaitForAnswer(call.context(), *reader);
  const Version before = have_;
  const absl::Status damage = answer.ok() ? ReadAll(*reader, &have_) : absl::OkStatus();
  if (have_ != before) backoff_.Reset();
  figures_.connected.Set(0);
  if (!damage.ok()) call.context().TryCancel();
  const absl::Status status = rpc::FromGrpc(reader->Finish());
  if (!answer.ok()) return answer;
  if (damage.ok()) return status;
  CountDamaged(damage);
  return damage;
}

void RemoteSource::ForgetLife(const absl::Status& why) {
  LogWarning(absl::StrCat(calls_->peer(), " has begun anew (", std::string(why.message()),
                          "): taking its snapshots from the first on"));
  have_ = Version();
  backoff_.Reset();
}

void RemoteSource::Run() {
  do {
    const auto keep_on = [this] { return !stop_.stopped(); };
    if (!rpc::AwaitConnection(*channel_, peer_, keep_on)) return;
    const absl::Status status = WatchOnce();
    if (absl::IsFailedPrecondition(status) && have_ != Version()) ForgetLife(status);
    if (!absl::IsCancelled(status)) peer_.Failed(status);
  } while (stop_.Sleep(backoff_.Next()));
}

}  // namespace

std::unique_ptr<SnapshotSource> WatchRemote(const std::string& address, const std::string& series,
                                            const std::string& watcher, metrics::Registry& registry,
                                            absl::Duration timeout, uint64_t stride, bool sparse) {
  return std::make_unique<RemoteSource>(address, series, watcher, registry, timeout, stride,
                                        sparse);
}

}  // namespace tandem::snapshot
