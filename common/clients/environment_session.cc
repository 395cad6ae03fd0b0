#include "common/clients/environment_session.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

using env::v1::VectorEnvService;
using TimePoint = std::chrono::system_clock::time_point;

constexpr absl::Duration kCloseTimeout = absl::Seconds(1);
constexpr auto kStopPoll = std::chrono::milliseconds(20);

}  // namespace

absl::StatusOr<std::unique_ptr<EnvironmentSession>> EnvironmentSession::Open(
    VectorEnvService::Stub& stub, std::shared_ptr<rpc::CallSet> calls,
    const env::v1::OpenRequest& request, absl::Duration timeout) {
  env::v1::OpenResponse response;
  {
    rpc::CallScope call(calls);
    TANDEM_RETURN_IF_ERROR(call.started());
    rpc::SetDeadline(call.context(), timeout);
    TANDEM_RETURN_IF_ERROR(calls->Explain(stub.Open(&call.context(), request, &response)));
  }
  return std::unique_ptr<EnvironmentSession>(
      new EnvironmentSession(stub, std::move(calls), response.session()));
}

absl::Status EnvironmentSession::Exchange(env::v1::StepRequest& request,
                                          env::v1::StepResponse* response, absl::Duration timeout,
                                          const std::function<bool()>& gone) {
  const TimePoint deadline = std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout);
  request.set_session(id_);
  request.set_step_id(++step_id_);
  rpc::Backoff backoff;
  for (;;) {
    if (!stream_) {
      stream_ = std::make_unique<StepStream>(calls_, [this](auto* context, auto* queue) {
        return stub_.PrepareAsyncStep(context, queue);
      });
    }
    const absl::Status status = stream_->Exchange(request, response, deadline);
    if (status.ok() && response->step_id() != step_id_) {
      stream_.reset();
      return absl::InternalError(absl::StrCat(calls_->peer(), ": expected the answer to step ",
                                              step_id_, ", got that to ", response->step_id()));
    }
    if (status.ok()) return status;
    stream_.reset();
    if (!absl::IsUnavailable(status)) return status;
    const TimePoint next =
        std::chrono::system_clock::now() + absl::ToChronoMicroseconds(backoff.Next());
    if (next >= deadline) return status;
    while (std::chrono::system_clock::now() < next) {
      if (gone()) return status;
      if (calls_->stopped()) return calls_->Cancelled();
      std::this_thread::sleep_for(kStopPoll);
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
