#pragma once

#include "common/base/executor.h"
#include "services/monitor/core/monitor.h"
#include "tandem/monitor/v1/monitor.grpc.pb.h"

namespace tandem::monitor {

/// tandem.monitor.v1.MonitorService over a Monitor and its Judge. Owns neither them nor its
/// executor, which outlive it. Thread-safe.
class MonitorServiceImpl : public v1::MonitorService::CallbackService {
 public:
  MonitorServiceImpl(Monitor* core, Judge* judge, Executor* executor)
      : core_(core), judge_(judge), executor_(executor) {}

  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext* context,
                                      const v1::GetReportRequest* request,
                                      v1::GetReportResponse* response) override;

 private:
  Monitor* const core_;
  Judge* const judge_;
  Executor* const executor_;
};

/// The report on the wire. Pure.
void Encode(const Report& report, const JudgeReport& judged, v1::GetReportResponse* response);

}  // namespace tandem::monitor
