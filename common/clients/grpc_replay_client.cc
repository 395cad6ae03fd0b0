#include "common/clients/grpc_replay_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/clients/replay_streams.h"
#include "common/codec/data_codec.h"
#include "common/codec/replay_codec.h"
#include "common/rpc/call_scope.h"
#include "common/rpc/channel.h"
#include "common/rpc/limits.h"
#include "tandem/replay/v1/replay.grpc.pb.h"

namespace tandem {
namespace {

using replay::v1::ReplayBufferService;

class GrpcReplayClient : public ReplayClient {
 public:
  GrpcReplayClient(const std::string& address, const clients::CallTimeouts& timeouts)
      : timeouts_(timeouts),
        calls_(std::make_shared<rpc::CallSet>(absl::StrCat("replay_buffer at ", address))),
        stub_(ReplayBufferService::NewStub(rpc::Connect(address))),
        bulk_stub_(ReplayBufferService::NewStub(rpc::Connect(address, /*bulk=*/true))) {}
  ~GrpcReplayClient() override { GrpcReplayClient::Stop(); }

  absl::StatusOr<WriterSession> OpenWriter(const std::string& writer,
                                           const EnvironmentSpec& spec) override {
    replay::v1::OpenWriterRequest request;
    replay::v1::OpenWriterResponse response;
    request.set_writer(writer);
    codec::Encode(spec, request.mutable_spec());
    TANDEM_RETURN_IF_ERROR(Call(timeouts_.open_writer, [&](grpc::ClientContext* context) {
      return stub_->OpenWriter(context, request, &response);
    }));
    return WriterSession{response.epoch(), response.end_index(), response.env_steps()};
  }

  absl::StatusOr<AppendResult> Append(const std::string& writer, uint64_t epoch, uint64_t sequence,
                                      const std::vector<Segment>& segments,
                                      const std::vector<Episode>& episodes) override {
    replay::v1::AppendRequest request;
    replay::v1::AppendResponse response;
    codec::Encode(writer, epoch, sequence, segments, episodes, &request);
    // gRPC would say RESOURCE_EXHAUSTED, which sounds as if trying again could help.
    if (request.ByteSizeLong() > static_cast<size_t>(rpc::kMaxMessageBytes)) {
      return absl::InvalidArgumentError(absl::StrCat("append of ", writer, ": expected at most ",
                                                     rpc::kMaxMessageBytes, " bytes, got ",
                                                     request.ByteSizeLong()));
    }
    TANDEM_RETURN_IF_ERROR(Call(timeouts_.append, [&](grpc::ClientContext* context) {
      return stub_->Append(context, request, &response);
    }));
    return AppendResult{response.acknowledged_sequence(), response.end_index()};
  }

  absl::StatusOr<Grant> Advance(const Progress& progress, absl::Duration wait) override {
    replay::v1::AdvanceRequest request;
    replay::v1::AdvanceResponse response;
    codec::Encode(progress, wait, &request);
    const absl::Duration timeout = codec::DecodeWait(request) + timeouts_.advance_margin;
    TANDEM_RETURN_IF_ERROR(Call(timeout, [&](grpc::ClientContext* context) {
      return stub_->Advance(context, request, &response);
    }));
    return codec::Decode(response);
  }

  absl::StatusOr<ReplayStatus> GetStatus() override {
    replay::v1::GetStatusResponse response;
    TANDEM_RETURN_IF_ERROR(Call(timeouts_.status, [&](grpc::ClientContext* context) {
      return stub_->GetStatus(context, {}, &response);
    }));
    return codec::Decode(response);
  }

  absl::StatusOr<std::unique_ptr<SampleStream>> OpenSample(const SampleSpec& spec) override {
    return clients::OpenSample(bulk_stub_, calls_, spec, timeouts_.stream);
  }

  absl::StatusOr<std::unique_ptr<TailStream>> OpenTail(const TailRequest& request) override {
    return clients::OpenTail(bulk_stub_, calls_, request, timeouts_.stream);
  }

  void Stop() override { calls_->Stop(); }

 private:
  template <typename Rpc>
  absl::Status Call(absl::Duration timeout, const Rpc& rpc) {
    rpc::CallScope call(calls_);
    TANDEM_RETURN_IF_ERROR(call.started());
    rpc::SetDeadline(call.context(), timeout);
    return calls_->Explain(rpc(&call.context()));
  }

  const clients::CallTimeouts timeouts_;
  const std::shared_ptr<rpc::CallSet> calls_;
  const std::unique_ptr<ReplayBufferService::Stub> stub_;
  const std::shared_ptr<ReplayBufferService::Stub> bulk_stub_;
};

}  // namespace

std::unique_ptr<ReplayClient> ConnectReplay(const std::string& address) {
  return clients::ConnectReplay(address, {});
}

namespace clients {

std::unique_ptr<ReplayClient> ConnectReplay(const std::string& address,
                                            const CallTimeouts& timeouts) {
  return std::make_unique<GrpcReplayClient>(address, timeouts);
}

}  // namespace clients

}  // namespace tandem
