#pragma once

#include <string>

#include "common/base/executor.h"
#include "common/rpc/live_calls.h"
#include "services/monitor/core/judge.h"
#include "services/monitor/core/monitor.h"
#include "tandem/monitor/v1/monitor.grpc.pb.h"

namespace tandem::monitor {

/// tandem.monitor.v1.MonitorService over a Monitor and its Judge. Owns neither these nor its
/// executor, which outlive it. Thread-safe.
class MonitorServiceImpl : public v1::MonitorService::CallbackService {
 public:
  /// dashboard: "http://host:port", or empty.
  MonitorServiceImpl(Monitor* core, Judge* judge, Executor* executor, std::string dashboard)
      : core_(core), judge_(judge), executor_(executor), dashboard_(std::move(dashboard)) {}

  /// The streams under way, for the drain.
  rpc::LiveCalls* live_calls() { return &live_; }

  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext* context,
                                      const v1::GetReportRequest* request,
                                      v1::GetReportResponse* response) override;
  grpc::ServerUnaryReactor* GetHistory(grpc::CallbackServerContext* context,
                                       const v1::GetHistoryRequest* request,
                                       v1::GetHistoryResponse* response) override;
  grpc::ServerWriteReactor<v1::Directive>* WatchDirectives(
      grpc::CallbackServerContext* context, const v1::WatchDirectivesRequest* request) override;
  grpc::ServerUnaryReactor* Acknowledge(grpc::CallbackServerContext* context,
                                        const v1::AcknowledgeRequest* request,
                                        v1::AcknowledgeResponse* response) override;
  grpc::ServerUnaryReactor* SetOverride(grpc::CallbackServerContext* context,
                                        const v1::SetOverrideRequest* request,
                                        v1::SetOverrideResponse* response) override;

 private:
  Monitor* const core_;
  Judge* const judge_;
  Executor* const executor_;
  const std::string dashboard_;
  rpc::LiveCallSet live_;
};

}  // namespace tandem::monitor
