#include "services/monitor/service.h"

#include <optional>

#include "common/base/status_macros.h"
#include "common/rpc/unary_call.h"
#include "services/monitor/watch_directives_call.h"
#include "services/monitor/wire.h"

namespace tandem::monitor {

grpc::ServerUnaryReactor* MonitorServiceImpl::GetReport(grpc::CallbackServerContext* context,
                                                        const v1::GetReportRequest*,
                                                        v1::GetReportResponse* response) {
  return rpc::UnaryCall(context, *executor_, [this, response] {
    Encode(core_->GetReport(), judge_->Report(), response);
    response->set_dashboard(dashboard_);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* MonitorServiceImpl::GetHistory(grpc::CallbackServerContext* context,
                                                         const v1::GetHistoryRequest* request,
                                                         v1::GetHistoryResponse* response) {
  return rpc::UnaryCall(context, *executor_, [this, request, response] {
    Encode(judge_->ReadHistory(request->from_checkpoint(), request->from_event()), response);
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<v1::Directive>* MonitorServiceImpl::WatchDirectives(
    grpc::CallbackServerContext*, const v1::WatchDirectivesRequest* request) {
  return (new WatchDirectivesCall(judge_->desk(), *executor_, live_, *request))->Begin();
}

grpc::ServerUnaryReactor* MonitorServiceImpl::Acknowledge(grpc::CallbackServerContext* context,
                                                          const v1::AcknowledgeRequest* request,
                                                          v1::AcknowledgeResponse*) {
  return rpc::UnaryCall(context, *executor_, [this, request]() -> absl::Status {
    TANDEM_ASSIGN_OR_RETURN(const Acknowledgement acknowledgement, Decode(*request));
    return judge_->Acknowledge(acknowledgement);
  });
}

grpc::ServerUnaryReactor* MonitorServiceImpl::SetOverride(grpc::CallbackServerContext* context,
                                                          const v1::SetOverrideRequest* request,
                                                          v1::SetOverrideResponse* response) {
  return rpc::UnaryCall(context, *executor_, [this, request, response]() -> absl::Status {
    TANDEM_ASSIGN_OR_RETURN(const coadaptation::Knob knob, Decode(request->knob()));
    const std::optional<double> value =
        request->has_value() ? std::optional<double>(request->value()) : std::nullopt;
    TANDEM_ASSIGN_OR_RETURN(const coadaptation::Directive directive,
                            judge_->SetOverride(knob, value, request->token(), request->reason()));
    Encode(directive, absl::ToDoubleSeconds(judge_->desk().ttl()), response->mutable_directive());
    return absl::OkStatus();
  });
}

}  // namespace tandem::monitor
