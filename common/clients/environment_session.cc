#include "common/clients/environment_session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/clients/patience.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

using env::v1::VectorEnvService;

constexpr absl::Duration kCloseTimeout = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<EnvironmentSession>> EnvironmentSession::Open(
    VectorEnvService::Stub& stub, std::shared_ptr<rpc::CallSet> calls,
    const env::v1::OpenRequest& request, std::string frames, absl::Duration timeout) {
  env::v1::OpenResponse response;
  {
    rpc::CallScope call(calls);
    TANDEM_RETURN_IF_ERROR(call.started());
    rpc::SetDeadline(call.context(), timeout);
    TANDEM_RETURN_IF_ERROR(calls->Explain(stub.Open(&call.context(), request, &response)));
  }
  return std::unique_ptr<EnvironmentSession>(
      new EnvironmentSession(stub, std::move(calls), response.session(), std::move(frames)));
}

void EnvironmentSession::Connect(FrameStream::TimePoint deadline) {
  if (!frames_path_.empty()) {
    auto frames = FrameStream::Connect(frames_path_, calls_, deadline);
    if (frames.ok()) {
      frames_ = *std::move(frames);
      return;
    }
    // The server was there just now, so its socket for frames is out of reach.
    if (step_id_ == 1) LogInfo(absl::StrCat("steps by gRPC: ", frames.status().message()));
  }
  stream_ = std::make_unique<StepStream>(calls_, [this](auto* context, auto* queue) {
    return stub_.PrepareAsyncStep(context, queue);
  });
}

void EnvironmentSession::Disconnect() {
  frames_.reset();
  stream_.reset();
}

absl::Status EnvironmentSession::Try(const env::v1::StepRequest& request,
                                     env::v1::StepResponse* response,
                                     FrameStream::TimePoint deadline) {
  if (!frames_ && !stream_) Connect(deadline);
  absl::Status status = frames_ ? frames_->Exchange(request, response, deadline)
                                : stream_->Exchange(request, response, deadline);
  if (status.ok() && response->step_id() != step_id_) {
    status = absl::DataLossError(absl::StrCat(calls_->peer(), ": expected the answer to step ",
                                              step_id_, ", got that to ", response->step_id()));
  }
  if (!status.ok()) Disconnect();
  return status;
}

absl::Status EnvironmentSession::Exchange(env::v1::StepRequest& request,
                                          env::v1::StepResponse* response, absl::Duration timeout,
                                          const std::function<bool()>& gone) {
  const auto deadline = After(timeout);
  request.set_session(id_);
  request.set_step_id(++step_id_);
  rpc::Backoff backoff;
  auto reachable =
      std::chrono::steady_clock::now();  // when the server last was, as far as is known
  for (;;) {
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status status = Try(request, response, deadline);
    if (status.ok()) return status;
    // An answer that is too large is one of another shape.
    if (absl::IsResourceExhausted(status)) return absl::DataLossError(status.message());
    if (!absl::IsUnavailable(status)) return status;
    // A server that is away refuses at once; one that took the request and broke was there.
    const auto now = std::chrono::steady_clock::now();
    if (now - begin > std::chrono::seconds(1)) reachable = now;
    const auto next = After(backoff.Next());
    if (next >= std::min(deadline, reachable + absl::ToChronoMicroseconds(kReconnect)))
      return status;
    while (std::chrono::steady_clock::now() < next) {
      if (gone()) return status;
      if (!SleepUnlessStopped(*calls_, kStopPoll)) return calls_->Cancelled();
    }
  }
}

void EnvironmentSession::Close(VectorEnvService::Stub& stub, const std::string& id) {
  grpc::ClientContext context;
  rpc::SetDeadline(context, kCloseTimeout);
  env::v1::CloseRequest request;
  request.set_session(id);
  env::v1::CloseResponse response;
  stub.Close(&context, request, &response).IgnoreError();
}

}  // namespace tandem::clients
