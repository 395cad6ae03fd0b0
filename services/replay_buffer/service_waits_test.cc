// Calls that wait, are cancelled, refused or cut off.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "common/codec/replay_codec.h"
#include "services/replay_buffer/testing/service_fixture.h"

namespace tandem {
namespace {

using testing::HasSubstr;
using testing_support::kLong;
using testing_support::MakeSegment;
using testing_support::MakeSpec;

class ReplayServiceWaitsTest : public testing_support::ReplayServiceFixture {};

TEST_F(ReplayServiceWaitsTest, AdvanceWaitsWithoutAThreadAndWakes) {
  const auto session = client_->OpenWriter("a", MakeSpec());
  std::vector<std::thread> waiters;
  std::atomic<int> granted{0};
  for (int i = 0; i < 8; ++i) {  // more than the executor has threads
    waiters.emplace_back([&, i] {
      const auto grant = client_->Advance(
          {.role = Role::kModelTrainer, .member = "m" + std::to_string(i)}, absl::Seconds(10));
      ASSERT_TRUE(grant.ok()) << grant.status();
      granted += static_cast<int>(grant->granted);
    });
  }
  while (buffer_->GetStatus().waiting_for.empty()) std::this_thread::yield();
  ASSERT_TRUE(client_->GetStatus().ok()) << "the executor is free";
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_TRUE(client_->Append("a", session->epoch, 1, {MakeSegment(1, 0, 10)}, {}).ok());
  for (auto& waiter : waiters) waiter.join();
  EXPECT_EQ(granted, 8);
  const auto empty = client_->Advance({.role = Role::kPolicyTrainer, .member = "p", .wanted = 5},
                                      absl::Milliseconds(30));
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->granted, 0);
  EXPECT_EQ(empty->waiting_for, "1 more environment step");
}

TEST_F(ReplayServiceWaitsTest, ACancelledCallLeavesNoTrace) {
  auto stub = Stub();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  replay::v1::AdvanceRequest request;
  replay::v1::AdvanceResponse response;
  codec::Encode({.role = Role::kModelTrainer, .member = "m"}, absl::Seconds(10), &request);
  EXPECT_EQ(stub->Advance(&context, request, &response).error_code(), grpc::DEADLINE_EXCEEDED);
  for (int i = 0; i < 20; ++i) {
    auto tail = client_->OpenTail({});
    auto sample = client_->OpenSample({.batch_size = 1000});
    ASSERT_TRUE((*sample)->Request(3, 0).ok());
  }
  Fill(100);
  EXPECT_TRUE(client_->GetStatus().ok());
  runner_->Drain(absl::Seconds(5));  // hangs, and its watchdog ends the test, if a call was left
  runner_.reset();
}

TEST_F(ReplayServiceWaitsTest, DrainEndsLiveCallsWithUnavailable) {
  auto tail = client_->OpenTail({});
  auto sample = client_->OpenSample({.batch_size = 1});
  ASSERT_TRUE((*sample)->Request(1, 0).ok());
  absl::Status advance;
  std::thread waiter([&] {
    advance =
        client_->Advance({.role = Role::kModelTrainer, .member = "m"}, absl::Seconds(10)).status();
  });
  while (buffer_->GetStatus().waiting_for.empty()) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto start = std::chrono::steady_clock::now();
  runner_->Drain(absl::Seconds(5));
  waiter.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
  EXPECT_EQ(advance.code(), absl::StatusCode::kUnavailable) << advance;
  EXPECT_EQ((*tail)->Receive(kLong).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ((*sample)->Receive(kLong).status().code(), absl::StatusCode::kUnavailable);
  runner_.reset();
}

TEST_F(ReplayServiceWaitsTest, StopOfTheClientEndsItsCalls) {
  auto tail = client_->OpenTail({});
  std::thread stopper([&] {
    while (buffer_->GetStatus().waiting_for.empty()) std::this_thread::yield();
    client_->Stop();
  });
  EXPECT_EQ(client_->Advance({.role = Role::kModelTrainer, .member = "m"}, absl::Seconds(10))
                .status()
                .code(),
            absl::StatusCode::kCancelled);
  stopper.join();
  EXPECT_EQ((*tail)->Receive(kLong).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client_->GetStatus().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client_->OpenTail({}).status().code(), absl::StatusCode::kCancelled);
}

TEST(ReplayServiceQueueTest, AFullQueueIsResourceExhausted) {
  metrics::Registry registry;
  const auto buffer = *ReplayBuffer::Create({}, registry);
  Executor executor(/*threads=*/1, /*max_queue=*/1);
  ReplayService service(*buffer, executor);
  rpc::ServerOptions options;
  options.role = "replay_buffer";
  options.address = "127.0.0.1:0";
  options.services = {&service};
  options.live_calls = {service.live_calls()};
  const auto runner = *rpc::ServerRunner::Start(options);
  const auto client = ConnectReplay(runner->address());
  ASSERT_TRUE(client->GetStatus().ok());
  Mutex block;
  block.Lock();
  ASSERT_TRUE(executor.Submit([&] { MutexLock lock(block); }));
  while (!executor.Submit([] {})) std::this_thread::yield();  // the thread is busy, the queue full
  EXPECT_EQ(client->GetStatus().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(client->Advance({.role = Role::kActor, .member = "a"}, {}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ((*client->OpenTail({}))->Receive(kLong).status().code(),
            absl::StatusCode::kResourceExhausted);
  block.Unlock();
  // The queue empties soon: what was refused works when tried again.
  absl::Status later;
  do {
    later = client->GetStatus().status();
  } while (later.code() == absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(later.ok()) << later;
  runner->Drain(absl::Seconds(1));
}

TEST(ReplayClientTest, AnAbsentPeerIsUnavailableAndNamed) {
  const auto client = ConnectReplay("unix:/tmp/tandem-nobody-here.sock");
  const absl::Status status = client->GetStatus().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("unix:/tmp/tandem-nobody-here.sock"));
  EXPECT_EQ((*client->OpenTail({}))->Receive(kLong).status().code(),
            absl::StatusCode::kUnavailable);
}
}  // namespace
}  // namespace tandem
