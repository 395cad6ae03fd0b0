#include "common/snapshot/snapshot_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "common/snapshot/assembler.h"
#include "tandem/snapshot/v1/snapshot.grpc.pb.h"

namespace tandem::snapshot {
namespace {

using ::testing::HasSubstr;

nn::TensorFile File(size_t floats, float value) {
  nn::TensorFile file;
  file.tensors["w"] = {{static_cast<int64_t>(floats)}, std::vector<float>(floats, value)};
  return file;
}

std::unique_ptr<rpc::ServerRunner> Serve(const std::string& address, grpc::Service* service,
                                         std::vector<rpc::LiveCalls*> live_calls = {}) {
  rpc::ServerOptions options;
  options.role = "test";
  options.address = address;
  options.services = {service};
  options.live_calls = std::move(live_calls);
  auto runner = rpc::ServerRunner::Start(std::move(options));
  EXPECT_TRUE(runner.ok()) << runner.status();
  return *std::move(runner);
}

/// A publisher in a process of its own, nearly: stores, service and server.
struct Publisher {
  Publisher(const std::string& address, uint64_t epoch)
      : model(kModelSeries, epoch),
        policy(kPolicySeries, epoch),
        service(SnapshotServer::Create({&model, &policy}, registry)) {
    runner = Serve(address, service->service(), {service->live_calls()});
  }
  metrics::Registry registry;
  SnapshotStore model;
  SnapshotStore policy;
  std::unique_ptr<SnapshotServer> service;
  std::unique_ptr<rpc::ServerRunner> runner;
};

class SnapshotServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tandem-snapshot-XXXXXX";
    dir_ = mkdtemp(name);
    address_ = "unix:" + dir_ + "/a.sock";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<SnapshotSource> Watch(const std::string& series) {
    return WatchRemote(address_, series, "test", registry_);
  }

  metrics::Registry registry_;  // of the watcher
  std::string dir_, address_;
};

TEST_F(SnapshotServiceTest, BringsEachSeriesToItsWatchers) {
  Publisher publisher(address_, 4);
  auto model = Watch(kModelSeries);
  auto policy = Watch(kPolicySeries);
  ASSERT_TRUE(publisher.model.Publish(File(10, 1)).ok());
  ASSERT_TRUE(publisher.policy.Publish(File(400'000, 2)).ok());  // 1.6 MB: four parts
  const auto first = model->WaitNewer({}, absl::Seconds(10));
  const auto second = policy->WaitNewer({}, absl::Seconds(10));
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(*first->bytes, *publisher.model.Latest()->bytes);
  EXPECT_EQ(*second->bytes, *publisher.policy.Latest()->bytes);
  EXPECT_EQ(second->version, (Version{4, 1}));
  EXPECT_EQ(second->Parse()->tensors.at("w").data[399'999], 2);
  EXPECT_EQ(policy->Latest(), second);
  const std::string page = publisher.registry.Page();
  EXPECT_THAT(page, HasSubstr("tandem_snapshot_watchers{series=\"model\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("tandem_snapshot_watcher_lag_versions{series=\"policy\"} 0\n"));
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_snapshot_connected{series=\"policy\"} 1\n"));
}

TEST_F(SnapshotServiceTest, SkipsToTheNewestAndNeverGoesBack) {
  Publisher publisher(address_, 1);
  auto source = Watch(kModelSeries);
  std::thread writer([&] {
    for (int i = 1; i <= 300; ++i) {
      ASSERT_TRUE(publisher.model.Publish(File(50'000, static_cast<float>(i))).ok());
    }
  });
  Version have;
  int seen = 0;
  while (have.version < 300) {
    const auto snapshot = source->WaitNewer(have, absl::Seconds(10));
    ASSERT_NE(snapshot, nullptr);
    EXPECT_GT(snapshot->version, have);
    have = snapshot->version;
    EXPECT_EQ(snapshot->Parse()->tensors.at("w").data[0], static_cast<float>(have.version));
    ++seen;
  }
  writer.join();
  EXPECT_LE(seen, 300);
}

TEST_F(SnapshotServiceTest, OneMegabyteArrivesWithinAHundredMilliseconds) {
  Publisher publisher(address_, 1);
  auto source = Watch(kModelSeries);
  std::vector<double> milliseconds;
  Version have;
  for (int i = 0; i < 30; ++i) {
    const nn::TensorFile file = File(250'000, static_cast<float>(i));
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(publisher.model.Publish(file).ok());
    const auto snapshot = source->WaitNewer(have, absl::Seconds(10));
    ASSERT_NE(snapshot, nullptr);
    have = snapshot->version;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (i > 0) milliseconds.push_back(took.count());  // the first waits for the connection
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  RecordProperty("median_ms", std::to_string(milliseconds[milliseconds.size() / 2]));
  std::cout << "publish to reader, 1 MB: median " << milliseconds[milliseconds.size() / 2]
            << " ms, largest " << milliseconds.back() << " ms\n";
  EXPECT_LT(milliseconds[milliseconds.size() / 2], 100);
}

TEST_F(SnapshotServiceTest, WaitsForAnAbsentPublisherAndFindsItsNextLife) {
  auto source = Watch(kPolicySeries);
  EXPECT_EQ(source->WaitNewer({}, absl::Milliseconds(50)), nullptr);
  Version have;
  for (uint64_t epoch : {1, 2}) {
    Publisher publisher(address_, epoch);
    ASSERT_TRUE(publisher.policy.Publish(File(10, static_cast<float>(epoch))).ok());
    const auto snapshot = source->WaitNewer(have, absl::Seconds(10));
    ASSERT_NE(snapshot, nullptr);
    EXPECT_EQ(snapshot->version, (Version{epoch, 1}));
    have = snapshot->version;
    const auto start = std::chrono::steady_clock::now();
    publisher.runner->Drain(absl::Seconds(5));  // the watcher is connected
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  }
  EXPECT_EQ(source->Latest()->version, have);
}

TEST_F(SnapshotServiceTest, FollowsAPublisherThatLostItsStateFolder) {
  auto source = Watch(kModelSeries);
  Version have;
  for (uint64_t epoch : {7, 1}) {
    Publisher publisher(address_, epoch);
    const int snapshots = epoch == 7 ? 3 : 1;
    for (int i = 0; i < snapshots; ++i) {
      ASSERT_TRUE(publisher.model.Publish(File(10, static_cast<float>(epoch))).ok());
    }
    const auto snapshot = source->WaitNewer(have, absl::Seconds(10));
    ASSERT_NE(snapshot, nullptr) << "epoch " << epoch;
    EXPECT_EQ(snapshot->version.epoch, epoch);
    EXPECT_EQ(snapshot->Parse()->tensors.at("w").data[0], static_cast<float>(epoch));
    EXPECT_EQ(source->WaitNewer(snapshot->version, absl::Milliseconds(20)), nullptr);
    have = snapshot->version;
    publisher.runner->Drain(absl::Seconds(5));
  }
  EXPECT_EQ(source->Latest()->version, (Version{1, 1}));
}

TEST_F(SnapshotServiceTest, StopReturnsAtOnceInEveryState) {
  for (const bool present : {false, true}) {
    std::unique_ptr<Publisher> publisher;
    if (present) publisher = std::make_unique<Publisher>(address_, 1);
    auto source = Watch(kModelSeries);
    std::thread waiter([&] { EXPECT_EQ(source->WaitNewer({}, absl::Seconds(20)), nullptr); });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const auto start = std::chrono::steady_clock::now();
    source->Stop();
    waiter.join();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100));
    source.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
  }
}

TEST_F(SnapshotServiceTest, SlowWatcherHoldsUpNobody) {
  Publisher publisher(address_, 1);
  auto stub = v1::SnapshotService::NewStub(rpc::Connect(address_, /*bulk=*/true));
  grpc::ClientContext context;
  v1::WatchRequest request;
  request.set_name(kModelSeries);
  auto stuck = stub->Watch(&context, request);  // never reads
  stuck->WaitForInitialMetadata();
  auto source = Watch(kModelSeries);
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(publisher.model.Publish(File(1'000'000, static_cast<float>(i))).ok());
  }
  Version have{1, 19};
  ASSERT_NE(source->WaitNewer(have, absl::Seconds(10)), nullptr);
  context.TryCancel();
  EXPECT_EQ(stuck->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(SnapshotServiceTest, RefusesWhatItCannotServe) {
  Publisher publisher(address_, 2);
  auto stub = v1::SnapshotService::NewStub(rpc::Connect(address_));
  const auto refusal = [&](const v1::WatchRequest& request) {
    grpc::ClientContext context;
    auto reader = stub->Watch(&context, request);
    v1::WatchResponse part;
    EXPECT_FALSE(reader->Read(&part));
    return rpc::FromGrpc(reader->Finish());
  };
  v1::WatchRequest request;
  request.set_name("critic");
  const absl::Status unknown = refusal(request);
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(unknown.ToString(), HasSubstr("\"model\" \"policy\""));
  request.set_name(kModelSeries);
  request.set_watcher(std::string(129, 'x'));
  EXPECT_EQ(refusal(request).code(), absl::StatusCode::kInvalidArgument);
  request.set_watcher("test");
  request.set_have_epoch(3);
  EXPECT_EQ(refusal(request).code(), absl::StatusCode::kFailedPrecondition);
}

/// Takes the first call and never answers it; sends a snapshot on the next.
class Mute : public v1::SnapshotService::Service {
 public:
  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest*,
                     grpc::ServerWriter<v1::WatchResponse>* writer) override {
    const bool first = calls_++ == 0;
    if (!first) {
      v1::WatchResponse part;
      part.set_epoch(1);
      part.set_version(1);
      part.set_data("weights");
      part.set_total_size(7);
      part.set_hash(ContentHash("weights"));
      writer->Write(part);
    }
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }
  int calls() const { return calls_; }

 private:
  std::atomic<int> calls_{0};
};

TEST_F(SnapshotServiceTest, APublisherThatNeverAnswersIsAskedAgain) {
  Mute mute;
  const auto server = Serve(address_, &mute);
  auto source = WatchRemote(address_, kModelSeries, "test", registry_, absl::Milliseconds(200));
  const auto snapshot = source->WaitNewer({}, absl::Seconds(10));
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(*snapshot->bytes, "weights");
  EXPECT_EQ(mute.calls(), 2);
  source.reset();
}

TEST_F(SnapshotServiceTest, ASparseWatcherGetsTheMultiplesAndTheNewestWhenItAsks) {
  Publisher publisher(address_, 1);
  auto source = WatchRemote(address_, kPolicySeries, "test", registry_, absl::Seconds(5),
                            /*stride=*/4, /*sparse=*/true);
  while (registry_.Page().find("tandem_snapshot_connected{series=\"policy\"} 1\n") ==
         std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (uint64_t i = 1; i <= 10; ++i) {
    ASSERT_TRUE(publisher.policy.Publish(File(1000, static_cast<float>(i))).ok());
    if (i % 4 == 0) {
      const auto multiple = source->WaitNewer({1, i - 1}, absl::Seconds(10));
      ASSERT_NE(multiple, nullptr);
      EXPECT_EQ(multiple->version.version, i);
    }
  }
  EXPECT_EQ(source->WaitNewer({1, 8}, absl::Milliseconds(50)), nullptr);
  const auto versions = [&](Version have) {
    std::vector<uint64_t> found;
    for (const auto& snapshot : source->Since(have, 4)) found.push_back(snapshot->version.version);
    return found;
  };
  EXPECT_EQ(versions({}), (std::vector<uint64_t>{4, 8, 10}));
  EXPECT_EQ(versions({1, 10}), std::vector<uint64_t>());
  EXPECT_THAT(publisher.registry.Page(),
              HasSubstr("tandem_snapshot_sent_total{series=\"policy\"} 3\n"));
  EXPECT_THAT(publisher.registry.Page(),
              HasSubstr("tandem_snapshot_watcher_lag_versions{series=\"policy\"} Nan\n"));
}

TEST_F(SnapshotServiceTest, ASparseWatcherThatAsksGetsWhatThePublisherStillHolds) {
  Publisher publisher(address_, 2);
  for (int i = 1; i <= 7; ++i) {
    ASSERT_TRUE(publisher.policy.Publish(File(1000, static_cast<float>(i))).ok());
  }
  auto source = WatchRemote(address_, kPolicySeries, "test", registry_, absl::Seconds(5),
                            /*stride=*/0, /*sparse=*/true);
  std::vector<std::shared_ptr<const Snapshot>> found;
  for (int i = 0; i < 1000 && found.empty(); ++i) {
    found = source->Since({}, 0);  // empty until it is connected
    if (found.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0]->version, (Version{2, 7}));
  source->Stop();
  ASSERT_TRUE(publisher.policy.Publish(File(1000, 8)).ok());
  EXPECT_TRUE(source->Since({2, 7}, 0).empty()) << "stopped";
}

/// Sends a damaged snapshot on the first call, a good one on the next.
class Liar : public v1::SnapshotService::CallbackService {
 public:
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext*,
                                                     const v1::WatchRequest*) override {
    class Once : public grpc::ServerWriteReactor<v1::WatchResponse> {
     public:
      explicit Once(bool lie) {
        part_.set_epoch(1);
        part_.set_version(1);
        part_.set_data("weights");
        part_.set_total_size(7);
        part_.set_hash(ContentHash("weights") + lie);
        StartWrite(&part_);
      }

     private:
      void OnWriteDone(bool) override { Finish(grpc::Status::OK); }
      void OnDone() override { delete this; }
      v1::WatchResponse part_;
    };
    return new Once(calls_++ == 0);
  }

 private:
  std::atomic<int> calls_{0};
};

TEST_F(SnapshotServiceTest, DropsADamagedSnapshotAndAsksAgain) {
  Liar liar;
  const auto server = Serve(address_, &liar);
  auto source = Watch(kModelSeries);
  const auto snapshot = source->WaitNewer({}, absl::Seconds(10));
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(*snapshot->bytes, "weights");
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_snapshot_damaged_total{series=\"model\"} 1\n"));
}

}  // namespace
}  // namespace tandem::snapshot
