#include "common/rpc/unary_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "common/rpc/channel.h"
#include "tandem/monitor/v1/monitor.grpc.pb.h"

namespace tandem::rpc {
namespace {

using monitor::v1::GetReportRequest;
using monitor::v1::GetReportResponse;
using monitor::v1::MonitorService;

class Service : public MonitorService::CallbackService {
 public:
  Service(Executor& executor, std::function<absl::Status()> body)
      : executor_(executor), body_(std::move(body)) {}
  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext* context, const GetReportRequest*,
                                      GetReportResponse*) override {
    return UnaryCall(context, executor_, body_);
  }

 private:
  Executor& executor_;
  const std::function<absl::Status()> body_;
};

class UnaryCallTest : public testing::Test {
 protected:
  void Serve(std::function<absl::Status()> body) {
    service_ = std::make_unique<Service>(executor_, std::move(body));
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = MonitorService::NewStub(server_->InProcessChannel({}));
  }
  absl::Status Call(absl::Duration timeout = absl::Seconds(5)) {
    grpc::ClientContext context;
    SetDeadline(context, timeout);
    GetReportResponse response;
    return FromGrpc(stub_->GetReport(&context, GetReportRequest(), &response));
  }
  void TearDown() override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    server_->Wait();
  }

  Executor executor_{/*threads=*/1, /*max_queue=*/1};
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<MonitorService::Stub> stub_;
};

TEST_F(UnaryCallTest, AnswersWithTheBodysStatus) {
  std::atomic<bool> fail{false};
  Serve([&] { return fail ? absl::NotFoundError("no such thing") : absl::OkStatus(); });
  EXPECT_TRUE(Call().ok());
  fail = true;
  EXPECT_EQ(Call(), absl::NotFoundError("no such thing"));
}

TEST_F(UnaryCallTest, SaysWhenToComeBackWhereTheQueueIsFull) {
  std::atomic<bool> open{false};
  std::atomic<int> running{0};
  Serve([&] {
    ++running;
    while (!open) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return absl::OkStatus();
  });
  std::thread first([&] { EXPECT_TRUE(Call().ok()); });
  while (running == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  // One call runs and one waits: of two more, one is refused.
  std::atomic<int> refused{0};
  std::thread second([&] { refused += absl::IsResourceExhausted(Call()); });
  std::thread third([&] { refused += absl::IsResourceExhausted(Call()); });
  while (refused == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const absl::Status status = Call();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(status.ToString(), testing::HasSubstr("try again in 100 ms"));
  open = true;
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(refused, 1);
}

TEST_F(UnaryCallTest, DoesNotStartForAClientThatHasGone) {
  std::atomic<bool> open{false};
  std::atomic<int> started{0};
  Serve([&] {
    ++started;
    while (!open) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return absl::OkStatus();
  });
  std::thread first([&] { EXPECT_TRUE(Call().ok()); });
  while (started == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Call(absl::Milliseconds(50))));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  open = true;
  first.join();
  absl::Status next = Call();
  while (absl::IsResourceExhausted(next)) next = Call();  // the dead call may still be queued
  EXPECT_TRUE(next.ok()) << next;
  EXPECT_EQ(started, 2);
}

}  // namespace
}  // namespace tandem::rpc
