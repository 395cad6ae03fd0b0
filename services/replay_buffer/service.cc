#include "services/replay_buffer/service.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/data_codec.h"
#include "common/codec/replay_codec.h"
#include "common/rpc/unary_call.h"
#include "services/replay_buffer/advance_call.h"
#include "services/replay_buffer/sample_call.h"
#include "services/replay_buffer/tail_call.h"

namespace tandem {

grpc::ServerUnaryReactor* ReplayService::OpenWriter(grpc::CallbackServerContext* context,
                                                    const replay::v1::OpenWriterRequest* request,
                                                    replay::v1::OpenWriterResponse* response) {
  return rpc::UnaryCall(context, executor_, [this, request, response]() -> absl::Status {
    TANDEM_ASSIGN_OR_RETURN(const EnvironmentSpec spec, codec::Decode(request->spec()));
    TANDEM_ASSIGN_OR_RETURN(const WriterSession session,
                            buffer_.OpenWriter(request->writer(), spec));
    response->set_epoch(session.epoch);
    response->set_end_index(session.end_index);
    response->set_env_steps(session.env_steps);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ReplayService::Append(grpc::CallbackServerContext* context,
                                                const replay::v1::AppendRequest* request,
                                                replay::v1::AppendResponse* response) {
  return rpc::UnaryCall(context, executor_,
                        [this, request, response] { return DoAppend(*request, response); });
}

absl::Status ReplayService::DoAppend(const replay::v1::AppendRequest& request,
                                     replay::v1::AppendResponse* response) {
  const std::optional<EnvironmentSpec> spec = buffer_.spec();
  absl::StatusOr<codec::AppendContent> content =
      spec ? codec::Decode(request, *spec)
           : absl::FailedPreconditionError(
                 absl::StrCat("append of ", request.writer(), ": expected OpenWriter first"));
  if (!content.ok()) {
    buffer_.CountRejected(content.status());
    return content.status();
  }
  TANDEM_ASSIGN_OR_RETURN(const AppendResult result,
                          buffer_.Append(request.writer(), request.epoch(), request.sequence(),
                                         content->segments, content->episodes));
  response->set_acknowledged_sequence(result.acknowledged_sequence);
  response->set_end_index(result.end_index);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* ReplayService::Advance(grpc::CallbackServerContext* context,
                                                 const replay::v1::AdvanceRequest* request,
                                                 replay::v1::AdvanceResponse* response) {
  return AdvanceCall::Start(buffer_, executor_, live_, request, response);
}

grpc::ServerUnaryReactor* ReplayService::GetStatus(grpc::CallbackServerContext* context,
                                                   const replay::v1::GetStatusRequest* request,
                                                   replay::v1::GetStatusResponse* response) {
  return rpc::UnaryCall(context, executor_, [this, response] {
    codec::Encode(buffer_.GetStatus(), response);
    return absl::OkStatus();
  });
}

grpc::ServerBidiReactor<replay::v1::SampleRequest, replay::v1::SampleResponse>*
ReplayService::Sample(grpc::CallbackServerContext* context) {
  return (new SampleCall(buffer_, executor_, live_))->Begin();
}

grpc::ServerWriteReactor<replay::v1::TailResponse>* ReplayService::Tail(
    grpc::CallbackServerContext* context, const replay::v1::TailRequest* request) {
  return (new TailCall(buffer_, executor_, live_, *request))->Begin();
}

}  // namespace tandem
