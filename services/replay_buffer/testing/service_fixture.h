#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/clients/replay_client.h"
#include "common/rpc/channel.h"
#include "common/rpc/server_runner.h"
#include "services/replay_buffer/core/testing/make_steps.h"
#include "services/replay_buffer/service.h"
#include "tandem/replay/v1/replay.grpc.pb.h"

namespace tandem::testing_support {

inline constexpr absl::Duration kLong = absl::Seconds(20);

/// A served buffer and a client of it.
class ReplayServiceFixture : public testing::Test {
 protected:
  ReplayServiceFixture() {
    char name[] = "/tmp/tandem-replay-XXXXXX";
    dir_ = mkdtemp(name);
    Start(/*threads=*/2, /*max_queue=*/256);
  }
  ~ReplayServiceFixture() override {
    client_.reset();
    if (runner_) runner_->Drain(absl::Seconds(1));
    runner_.reset();
    executor_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Start(int threads, size_t max_queue) {
    ReplayBuffer::Options options;
    options.capacity = 200'000;
    options.holdout_fraction = 0;
    options.pace.warmup_steps = 10;
    options.pace.refit_interval = 10;
    options.pace.evaluation_interval = 0;
    buffer_ = *ReplayBuffer::Create(options, registry_);
    executor_ = std::make_unique<Executor>(threads, max_queue);
    service_ = std::make_unique<ReplayService>(*buffer_, *executor_);
    rpc::ServerOptions server;
    server.role = "replay_buffer";
    server.address = "unix:" + dir_ + "/r.sock";
    server.services = {service_.get()};
    server.live_calls = {service_->live_calls()};
    auto runner = rpc::ServerRunner::Start(server);
    EXPECT_TRUE(runner.ok()) << runner.status();
    runner_ = *std::move(runner);
    address_ = runner_->address();
    client_ = ConnectReplay(address_);
  }

  /// Steps 0 .. n of one episode, in appends of at most 5000.
  void Fill(int64_t n) {
    const auto session = client_->OpenWriter("filler", MakeSpec());
    ASSERT_TRUE(session.ok()) << session.status();
    uint64_t sequence = 0;
    for (int64_t t = 0; t < n; t += 5000) {
      const auto result = client_->Append("filler", session->epoch, ++sequence,
                                          {MakeSegment(1, t, std::min<int64_t>(5000, n - t))}, {});
      ASSERT_TRUE(result.ok()) << result.status();
    }
  }

  std::unique_ptr<replay::v1::ReplayBufferService::Stub> Stub() {
    return replay::v1::ReplayBufferService::NewStub(rpc::Connect(address_));
  }

  std::string dir_;
  metrics::Registry registry_;
  std::unique_ptr<ReplayBuffer> buffer_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<ReplayService> service_;
  std::unique_ptr<rpc::ServerRunner> runner_;
  std::string address_;
  std::unique_ptr<ReplayClient> client_;
};

}  // namespace tandem::testing_support
