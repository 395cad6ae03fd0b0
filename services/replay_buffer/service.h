#pragma once

#include "common/base/executor.h"
#include "common/rpc/live_calls.h"
#include "services/replay_buffer/core/replay_buffer.h"
#include "tandem/replay/v1/replay.grpc.pb.h"

namespace tandem {

/// ReplayBufferService over a ReplayBuffer: decodes, calls the core, encodes. Short calls run on
/// the executor; those that wait hold no thread.
///
/// Thread-safe. The buffer and the executor outlive it; it outlives the gRPC server.
class ReplayService final : public replay::v1::ReplayBufferService::CallbackService {
 public:
  ReplayService(ReplayBuffer& buffer, Executor& executor) : buffer_(buffer), executor_(executor) {}

  /// The streams and the Advance calls in flight.
  rpc::LiveCalls* live_calls() { return &live_; }

  grpc::ServerUnaryReactor* OpenWriter(grpc::CallbackServerContext* context,
                                       const replay::v1::OpenWriterRequest* request,
                                       replay::v1::OpenWriterResponse* response) override;
  grpc::ServerUnaryReactor* Append(grpc::CallbackServerContext* context,
                                   const replay::v1::AppendRequest* request,
                                   replay::v1::AppendResponse* response) override;
  grpc::ServerUnaryReactor* Advance(grpc::CallbackServerContext* context,
                                    const replay::v1::AdvanceRequest* request,
                                    replay::v1::AdvanceResponse* response) override;
  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const replay::v1::GetStatusRequest* request,
                                      replay::v1::GetStatusResponse* response) override;
  grpc::ServerBidiReactor<replay::v1::SampleRequest, replay::v1::SampleResponse>* Sample(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<replay::v1::TailResponse>* Tail(
      grpc::CallbackServerContext* context, const replay::v1::TailRequest* request) override;

 private:
  absl::Status DoAppend(const replay::v1::AppendRequest& request,
                        replay::v1::AppendResponse* response);

  ReplayBuffer& buffer_;
  Executor& executor_;
  rpc::LiveCallSet live_;
};

}  // namespace tandem
