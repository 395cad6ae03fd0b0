#include "common/rpc/pull_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/rpc/unary_call.h"
#include "tandem/snapshot/v1/snapshot.grpc.pb.h"

namespace tandem::rpc {
namespace {

using snapshot::v1::SnapshotService;
using snapshot::v1::WatchRequest;
using snapshot::v1::WatchResponse;

/// Numbers that streams send: 1, 2, ... up to `limit`, which may grow.
struct Source {
  std::atomic<uint64_t> limit{0};
  std::atomic<uint64_t> end_at{0};   // End() with this one; 0: never
  std::atomic<uint64_t> fail_at{0};  // error instead of this one; 0: never
  std::atomic<int> alive{0};
  size_t padding = 0;
  Mutex mu;
  std::function<void()> wake ABSL_GUARDED_BY(mu);

  void Allow(uint64_t up_to) {
    limit = up_to;
    MutexLock lock(mu);
    if (wake) wake();
  }
};

class Numbers : public PullStream<WatchResponse> {
 public:
  Numbers(Source& source, Executor& executor, LiveCallSet& live)
      : PullStream(executor, live), source_(source) {
    ++source_.alive;
    MutexLock lock(source_.mu);
    source_.wake = [this] { Wake(); };
  }
  ~Numbers() override {
    {
      MutexLock lock(source_.mu);
      source_.wake = nullptr;
    }
    --source_.alive;
  }

 private:
  absl::StatusOr<Pull> Next(WatchResponse& message) override {
    if (source_.fail_at == sent_ + 1) return absl::DataLossError("broken");
    if (sent_ >= source_.limit) return Pull::kWait;
    message.set_version(++sent_);
    message.set_data(std::string(source_.padding, 'x'));
    if (sent_ == source_.end_at) End();
    return Pull::kSend;
  }

  Source& source_;
  uint64_t sent_ = 0;
};

class Service : public SnapshotService::CallbackService {
 public:
  Service(Source& source, Executor& executor) : source_(source), executor_(executor) {}
  grpc::ServerWriteReactor<WatchResponse>* Watch(grpc::CallbackServerContext*,
                                                 const WatchRequest*) override {
    return (new Numbers(source_, executor_, live))->Begin();
  }
  LiveCallSet live;

 private:
  Source& source_;
  Executor& executor_;
};

class PullStreamTest : public testing::Test {
 protected:
  void Connect() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = SnapshotService::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port_),
                                                         grpc::InsecureChannelCredentials()));
    reader_ = stub_->Watch(&context_, WatchRequest());
  }
  void TearDown() override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
    server_->Wait();
    EXPECT_EQ(source_.alive, 0);
  }

  Executor executor_{2, 100};
  Source source_;
  Service service_{source_, executor_};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<SnapshotService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<WatchResponse>> reader_;
};

TEST_F(PullStreamTest, SendsInOrderAndEnds) {
  source_.limit = 1000;
  source_.end_at = 1000;
  Connect();
  WatchResponse message;
  uint64_t expected = 0;
  while (reader_->Read(&message)) EXPECT_EQ(message.version(), ++expected);
  EXPECT_EQ(expected, 1000u);
  EXPECT_TRUE(reader_->Finish().ok());
}

TEST_F(PullStreamTest, WakeIsNeverLost) {
  source_.end_at = 2000;
  Connect();
  std::thread writer([this] {
    for (uint64_t i = 1; i <= 2000; ++i) source_.Allow(i);
  });
  WatchResponse message;
  uint64_t expected = 0;
  while (reader_->Read(&message)) EXPECT_EQ(message.version(), ++expected);
  writer.join();
  EXPECT_EQ(expected, 2000u);
  EXPECT_TRUE(reader_->Finish().ok());
}

TEST_F(PullStreamTest, MetadataTellsThatTheServerIsThere) {
  Connect();
  reader_->WaitForInitialMetadata();
  source_.Allow(1);
  WatchResponse message;
  EXPECT_TRUE(reader_->Read(&message));
  context_.TryCancel();
  EXPECT_EQ(reader_->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(PullStreamTest, ErrorReachesTheClientAfterWhatWasSent) {
  source_.limit = 10;
  source_.fail_at = 3;
  Connect();
  WatchResponse message;
  EXPECT_TRUE(reader_->Read(&message));
  EXPECT_TRUE(reader_->Read(&message));
  EXPECT_FALSE(reader_->Read(&message));
  const grpc::Status status = reader_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(status.error_message(), "broken");
}

TEST_F(PullStreamTest, SlowClientHoldsBackTheServer) {
  source_.limit = 1'000'000;
  source_.padding = 100'000;
  Connect();
  WatchResponse message;
  ASSERT_TRUE(reader_->Read(&message));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  context_.TryCancel();
  uint64_t last = message.version();
  while (reader_->Read(&message)) last = message.version();
  EXPECT_LT(last, 200u);
}

TEST_F(PullStreamTest, CancelAllEndsIdleAndLaterCalls) {
  Connect();
  reader_->WaitForInitialMetadata();
  service_.live.CancelAll();
  WatchResponse message;
  EXPECT_FALSE(reader_->Read(&message));
  EXPECT_EQ(reader_->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext context;
  auto late = stub_->Watch(&context, WatchRequest());
  EXPECT_FALSE(late->Read(&message));
  EXPECT_EQ(late->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(PullStreamTest, CancelAllEndsABusyCall) {
  source_.limit = 1'000'000'000;
  Connect();
  WatchResponse message;
  ASSERT_TRUE(reader_->Read(&message));
  std::thread cancel([this] { service_.live.CancelAll(); });
  while (reader_->Read(&message)) {
  }
  EXPECT_EQ(reader_->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  cancel.join();
}

TEST_F(PullStreamTest, BusyExecutorEndsTheCallWithAHint) {
  executor_.Stop();
  Connect();
  WatchResponse message;
  EXPECT_FALSE(reader_->Read(&message));
  EXPECT_EQ(reader_->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace tandem::rpc
