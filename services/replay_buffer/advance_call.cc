#include "services/replay_buffer/advance_call.h"

#include <utility>

#include "common/codec/replay_codec.h"
#include "common/rpc/status.h"

namespace tandem {

AdvanceCall::AdvanceCall(ReplayBuffer& buffer, rpc::LiveCallSet& live,
                         const replay::v1::AdvanceRequest* request,
                         replay::v1::AdvanceResponse* response)
    : buffer_(buffer),
      live_(live),
      request_(request),
      response_(response),
      ticket_(buffer.NewTicket()) {}

grpc::ServerUnaryReactor* AdvanceCall::Start(ReplayBuffer& buffer, Executor& executor,
                                             rpc::LiveCallSet& live,
                                             const replay::v1::AdvanceRequest* request,
                                             replay::v1::AdvanceResponse* response) {
  const std::shared_ptr<AdvanceCall> call(new AdvanceCall(buffer, live, request, response));
  call->self_ = call;
  if (!live.Add(call.get())) {
    call->FinishOnce(absl::UnavailableError("the server is shutting down"));
  } else if (!executor.Submit([call] { call->Run(); })) {
    call->FinishOnce(
        absl::ResourceExhaustedError("too many requests are waiting; try again in 100 ms"));
  }
  return call.get();
}

void AdvanceCall::Run() {
  const std::shared_ptr<AdvanceCall> self = self_;
  const absl::StatusOr<Progress> progress = codec::Decode(*request_);
  absl::Status end = progress.status();
  if (end.ok()) {
    MutexLock lock(mu_);
    end = end_;
  }
  if (!end.ok()) return FinishOnce(end);
  buffer_.Advance(ticket_, *progress, codec::DecodeWait(*request_),
                  [self](const absl::StatusOr<Grant>& grant) {
                    if (grant.ok()) codec::Encode(*grant, self->response_);
                    self->FinishOnce(grant.status());
                  });
  // The client may have gone between the look above and the wait.
  {
    MutexLock lock(mu_);
    end = end_;
  }
  if (!end.ok()) EndWith(end);
}

void AdvanceCall::EndWith(const absl::Status& status) {
  {
    MutexLock lock(mu_);
    if (end_.ok()) end_ = status;
  }
  if (buffer_.CancelAdvance(ticket_)) FinishOnce(status);
}

void AdvanceCall::FinishOnce(const absl::Status& status) {
  {
    MutexLock lock(mu_);
    if (finished_) return;
    finished_ = true;
  }
  Finish(rpc::ToGrpc(status));
}

void AdvanceCall::Cancel() { EndWith(absl::UnavailableError("the server is shutting down")); }

void AdvanceCall::OnCancel() { EndWith(absl::CancelledError("the client is gone")); }

void AdvanceCall::OnDone() {
  live_.Remove(this);
  self_.reset();
}

}  // namespace tandem
