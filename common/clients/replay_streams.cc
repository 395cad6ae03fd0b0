#include "common/clients/replay_streams.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/clients/bounded_queue.h"
#include "common/codec/replay_codec.h"
#include "common/rpc/call_timer.h"

namespace tandem::clients {
namespace {

using replay::v1::ReplayBufferService;

/// The credit bounds the batches in flight; the tail has nothing else to hold it back.
constexpr size_t kMaxBatches = 64;
constexpr size_t kMaxChunks = 4;

absl::Status NotAccepted(const rpc::CallSet& calls, absl::Duration timeout) {
  return absl::UnavailableError(
      absl::StrCat(calls.peer(), ": no answer within ", absl::FormatDuration(timeout)));
}

class GrpcSampleStream : public SampleStream {
 public:
  GrpcSampleStream(std::shared_ptr<ReplayBufferService::Stub> stub,
                   std::shared_ptr<rpc::CallSet> calls, const SampleSpec& spec,
                   absl::Duration timeout)
      : stub_(std::move(stub)),
        calls_(calls),
        call_(std::move(calls)),
        spec_(spec),
        timeout_(timeout),
        queue_(kMaxBatches, calls_->peer()) {}

  ~GrpcSampleStream() override {
    call_.context().TryCancel();
    queue_.Close(absl::CancelledError("the stream was closed"));
    if (reader_.joinable()) reader_.join();
  }

  absl::Status Start() {
    if (auto status = call_.started(); !status.ok()) return status;
    stream_ = stub_->Sample(&call_.context());
    reader_ = std::thread([this] { Read(); });
    return absl::OkStatus();
  }

  absl::Status Request(int64_t batches, int64_t through_index) override {
    replay::v1::SampleRequest request;
    if (!spec_sent_) codec::Encode(spec_, request.mutable_spec());
    spec_sent_ = true;
    request.set_credit(batches);
    request.set_through_index(through_index);
    const rpc::CallTimer timer(&call_.context(), timeout_);
    if (stream_->Write(request)) return absl::OkStatus();
    // The reader learns why: the queue has the status once what came before it is taken.
    return absl::UnavailableError(
        absl::StrCat(calls_->peer(), ": the sample stream has ended; Receive tells why"));
  }

  absl::StatusOr<SampledBatch> Receive(absl::Duration timeout) override {
    return queue_.Pop(timeout);
  }

 private:
  void Read() {
    replay::v1::SampleResponse response;
    SampledBatch batch;
    absl::Status bad;
    if (!rpc::WaitUntilAccepted(&call_.context(), *stream_, timeout_))
      bad = NotAccepted(*calls_, timeout_);
    while (bad.ok() && stream_->Read(&response)) {
      bad = codec::DecodePart(response, spec_, &batch);
      if (!bad.ok() || !response.last()) continue;
      if (!queue_.Push(std::exchange(batch, SampledBatch{}))) break;
    }
    if (!bad.ok()) call_.context().TryCancel();
    absl::Status end = calls_->Explain(stream_->Finish());
    if (end.ok()) end = absl::UnavailableError("the replay buffer ended the sample stream");
    queue_.Close(bad.ok() ? end : bad);
  }

  const std::shared_ptr<ReplayBufferService::Stub> stub_;
  const std::shared_ptr<rpc::CallSet> calls_;
  rpc::CallScope call_;
  const SampleSpec spec_;
  const absl::Duration timeout_;
  bool spec_sent_ = false;
  std::unique_ptr<grpc::ClientReaderWriter<replay::v1::SampleRequest, replay::v1::SampleResponse>>
      stream_;
  BoundedQueue<SampledBatch> queue_;
  std::thread reader_;
};

class GrpcTailStream : public TailStream {
 public:
  GrpcTailStream(std::shared_ptr<ReplayBufferService::Stub> stub,
                 std::shared_ptr<rpc::CallSet> calls, const TailRequest& request,
                 absl::Duration timeout)
      : stub_(std::move(stub)),
        calls_(calls),
        call_(std::move(calls)),
        timeout_(timeout),
        queue_(kMaxChunks, calls_->peer()) {
    codec::Encode(request, &request_);
  }

  ~GrpcTailStream() override {
    call_.context().TryCancel();
    queue_.Close(absl::CancelledError("the stream was closed"));
    if (reader_.joinable()) reader_.join();
  }

  absl::Status Start() {
    if (auto status = call_.started(); !status.ok()) return status;
    reader_ = std::thread([this] { Read(); });
    return absl::OkStatus();
  }

  absl::StatusOr<TailChunk> Receive(absl::Duration timeout) override { return queue_.Pop(timeout); }

 private:
  void Read() {
    const auto stream = stub_->Tail(&call_.context(), request_);
    replay::v1::TailResponse response;
    absl::Status bad;
    if (!rpc::WaitUntilAccepted(&call_.context(), *stream, timeout_))
      bad = NotAccepted(*calls_, timeout_);
    while (bad.ok() && stream->Read(&response)) {
      absl::StatusOr<TailChunk> chunk = codec::Decode(response);
      bad = chunk.status();
      if (!bad.ok() || !queue_.Push(*std::move(chunk))) {
        call_.context().TryCancel();
        break;
      }
    }
    absl::Status end = calls_->Explain(stream->Finish());
    if (end.ok()) end = absl::OutOfRangeError("all steps below through_index were sent");
    queue_.Close(bad.ok() ? end : bad);
  }

  const std::shared_ptr<ReplayBufferService::Stub> stub_;
  const std::shared_ptr<rpc::CallSet> calls_;
  rpc::CallScope call_;
  const absl::Duration timeout_;
  replay::v1::TailRequest request_;
  BoundedQueue<TailChunk> queue_;
  std::thread reader_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SampleStream>> OpenSample(
    std::shared_ptr<ReplayBufferService::Stub> stub, std::shared_ptr<rpc::CallSet> calls,
    const SampleSpec& spec, absl::Duration timeout) {
  auto stream =
      std::make_unique<GrpcSampleStream>(std::move(stub), std::move(calls), spec, timeout);
  if (auto status = stream->Start(); !status.ok()) return status;
  return stream;
}

absl::StatusOr<std::unique_ptr<TailStream>> OpenTail(
    std::shared_ptr<ReplayBufferService::Stub> stub, std::shared_ptr<rpc::CallSet> calls,
    const TailRequest& request, absl::Duration timeout) {
  auto stream =
      std::make_unique<GrpcTailStream>(std::move(stub), std::move(calls), request, timeout);
  if (auto status = stream->Start(); !status.ok()) return status;
  return stream;
}

}  // namespace tandem::clients
