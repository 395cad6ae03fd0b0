#include "common/rpc/method_metrics.h"

#include <gmock/gmock.h>
#include <grpcpp/impl/client_unary_call.h>
#include <gtest/gtest.h>

#include "common/rpc/channel.h"
#include "common/rpc/pull_stream.h"
#include "common/rpc/server_runner.h"
#include "common/rpc/unary_call.h"
#include "tandem/monitor/v1/monitor.grpc.pb.h"
#include "tandem/snapshot/v1/snapshot.grpc.pb.h"

namespace tandem::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Reports : public monitor::v1::MonitorService::CallbackService {
 public:
  explicit Reports(Executor& executor) : executor_(executor) {}
  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext* context,
                                      const monitor::v1::GetReportRequest*,
                                      monitor::v1::GetReportResponse*) override {
    return UnaryCall(context, executor_, [this] {
      return ++calls_ == 1 ? absl::OkStatus() : absl::FailedPreconditionError("only once");
    });
  }

 private:
  Executor& executor_;
  int calls_ = 0;
};

/// A stream that never has anything to send.
class Silence : public PullStream<snapshot::v1::WatchResponse> {
 public:
  Silence(Executor& executor, LiveCallSet& live) : PullStream(executor, live) {}

 private:
  absl::StatusOr<Pull> Next(snapshot::v1::WatchResponse&) override { return Pull::kWait; }
};

class Snapshots : public snapshot::v1::SnapshotService::CallbackService {
 public:
  explicit Snapshots(Executor& executor) : executor_(executor) {}
  grpc::ServerWriteReactor<snapshot::v1::WatchResponse>* Watch(
      grpc::CallbackServerContext*, const snapshot::v1::WatchRequest*) override {
    return (new Silence(executor_, live))->Begin();
  }
  LiveCallSet live;

 private:
  Executor& executor_;
};

TEST(MethodMetricsTest, CountsCallsByMethodAndCodeAndTimesUnaryOnes) {
  metrics::Registry registry;
  Executor executor(1, 10);
  Reports reports(executor);
  Snapshots snapshots(executor);
  ServerOptions options;
  options.role = "test";
  options.address = "127.0.0.1:0";
  options.services = {&reports, &snapshots};
  options.live_calls = {&snapshots.live};
  options.registry = &registry;
  auto runner = ServerRunner::Start(options);
  ASSERT_TRUE(runner.ok()) << runner.status();
  const auto channel = Connect((*runner)->address());
  const auto stub = monitor::v1::MonitorService::NewStub(channel);
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    SetDeadline(context, absl::Seconds(5));
    monitor::v1::GetReportResponse response;
    EXPECT_EQ(stub->GetReport(&context, {}, &response).ok(), i == 0);
  }
  const grpc::internal::RpcMethod unknown("/tandem.invented/Name",
                                          grpc::internal::RpcMethod::NORMAL_RPC);
  grpc::ClientContext unknown_context;
  SetDeadline(unknown_context, absl::Seconds(5));
  monitor::v1::GetReportResponse nothing;
  EXPECT_EQ(grpc::internal::BlockingUnaryCall(channel.get(), unknown, &unknown_context,
                                              monitor::v1::GetReportRequest(), &nothing)
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  grpc::ClientContext context;
  const auto watch = snapshot::v1::SnapshotService::NewStub(channel)->Watch(&context, {});
  watch->WaitForInitialMetadata();
  (*runner)->Drain(absl::Seconds(5));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);

  const std::string page = registry.Page();
  const std::string report = "method=\"tandem.monitor.v1.MonitorService/GetReport\"";
  EXPECT_THAT(page, HasSubstr("tandem_rpc_requests_total{code=\"OK\"," + report + "} 1\n"));
  EXPECT_THAT(page, HasSubstr("tandem_rpc_requests_total{code=\"FAILED_PRECONDITION\"," + report +
                              "} 2\n"));
  EXPECT_THAT(page, HasSubstr("tandem_rpc_request_seconds_count{" + report + "} 3\n"));
  EXPECT_THAT(page, HasSubstr("tandem_rpc_requests_total{code=\"UNAVAILABLE\",method=\"tandem."
                              "snapshot.v1.SnapshotService/Watch\"} 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("request_seconds_count{method=\"tandem.snapshot")));
  EXPECT_THAT(page, Not(HasSubstr("invented")));  // a client must not make labels
}

}  // namespace
}  // namespace tandem::rpc
