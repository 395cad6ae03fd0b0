#include "cli/monitor_client.h"

#include <grpcpp/grpcpp.h>

#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "tandem/monitor/v1/monitor.grpc.pb.h"

namespace tandem::cli {
namespace {

class GrpcMonitorClient : public MonitorClient {
 public:
  explicit GrpcMonitorClient(const std::string& address)
      : stub_(monitor::v1::MonitorService::NewStub(rpc::Connect(address))) {}

  absl::StatusOr<monitor::v1::GetReportResponse> GetReport(absl::Duration timeout) override {
    grpc::ClientContext context;
    rpc::SetDeadline(context, timeout);
    monitor::v1::GetReportResponse response;
    const grpc::Status status =
        stub_->GetReport(&context, monitor::v1::GetReportRequest(), &response);
    if (!status.ok()) return rpc::FromGrpc(status);
    return response;
  }

  absl::StatusOr<monitor::v1::SetOverrideResponse> SetOverride(
      const monitor::v1::SetOverrideRequest& request, absl::Duration timeout) override {
    grpc::ClientContext context;
    rpc::SetDeadline(context, timeout);
    monitor::v1::SetOverrideResponse response;
    const grpc::Status status = stub_->SetOverride(&context, request, &response);
    if (!status.ok()) return rpc::FromGrpc(status);
    return response;
  }

 private:
  const std::unique_ptr<monitor::v1::MonitorService::Stub> stub_;
};

}  // namespace

std::unique_ptr<MonitorClient> ConnectMonitor(const std::string& address) {
  return std::make_unique<GrpcMonitorClient>(address);
}

}  // namespace tandem::cli
