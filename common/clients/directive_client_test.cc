#include "common/clients/directive_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "common/base/mutex.h"
#include "tandem/monitor/v1/monitor.grpc.pb.h"

namespace tandem {
namespace {

using coadaptation::Knob;

/// A monitor that sends the directive that the test gives it, at each change and each 50 ms.
class Peer : public monitor::v1::MonitorService::Service {
 public:
  void Set(int64_t version, double real_share, double ttl_seconds) {
    MutexLock lock(mu_);
    directive_.Clear();
    directive_.set_version(version);
    directive_.set_ttl_seconds(ttl_seconds);
    auto* setting = directive_.add_settings();
    setting->set_knob(monitor::v1::KNOB_REAL_SHARE);
    setting->set_value(real_share);
    setting->set_safe_value(0.1);
    setting->set_reason("the gap");
    directive_.add_settings()->set_knob(static_cast<monitor::v1::Knob>(99));  // of the future
  }
  void FailAcknowledgements(int count) {
    MutexLock lock(mu_);
    failures_ = count;
  }
  std::vector<monitor::v1::AcknowledgeRequest> acknowledged() {
    MutexLock lock(mu_);
    return acknowledged_;
  }
  monitor::v1::WatchDirectivesRequest watcher() {
    MutexLock lock(mu_);
    return watcher_;
  }
  std::atomic<bool> silent{false};

 private:
  grpc::Status WatchDirectives(grpc::ServerContext* context,
                               const monitor::v1::WatchDirectivesRequest* request,
                               grpc::ServerWriter<monitor::v1::Directive>* writer) override {
    while (!context->IsCancelled()) {
      monitor::v1::Directive directive;
      {
        MutexLock lock(mu_);
        watcher_ = *request;
        directive = directive_;
      }
      if (!silent) writer->Write(directive);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return grpc::Status::CANCELLED;
  }
  grpc::Status Acknowledge(grpc::ServerContext*, const monitor::v1::AcknowledgeRequest* request,
                           monitor::v1::AcknowledgeResponse*) override {
    MutexLock lock(mu_);
    if (failures_-- > 0) return {grpc::StatusCode::UNAVAILABLE, "later"};
    acknowledged_.push_back(*request);
    return grpc::Status::OK;
  }

  Mutex mu_;
  int failures_ ABSL_GUARDED_BY(mu_) = 0;
  monitor::v1::Directive directive_ ABSL_GUARDED_BY(mu_);
  monitor::v1::WatchDirectivesRequest watcher_ ABSL_GUARDED_BY(mu_);
  std::vector<monitor::v1::AcknowledgeRequest> acknowledged_ ABSL_GUARDED_BY(mu_);
};

class DirectiveClientTest : public testing::Test {
 protected:
  DirectiveClientTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "tandem_directive_XXXXXX";
    dir_ = mkdtemp(pattern.data());
    address_ = "unix:" + dir_ + "/m.sock";
  }
  ~DirectiveClientTest() override {
    client_.reset();
    StopServer();
    std::filesystem::remove_all(dir_);
  }
  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(&peer_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void StopServer() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  void Connect(absl::Duration timeout = absl::Seconds(5)) {
    client_ = WatchDirectives(address_, coadaptation::Receiver::kPolicyTrainer, "policy_trainer",
                              registry_, timeout);
  }
  static bool Eventually(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
    return condition();
  }

  std::string dir_;
  std::string address_;
  Peer peer_;
  std::unique_ptr<grpc::Server> server_;
  metrics::Registry registry_;
  std::unique_ptr<DirectiveClient> client_;
};

TEST_F(DirectiveClientTest, FollowsAndAcknowledgesEachVersionOnce) {
  peer_.Set(1, 0.5, 60);
  StartServer();
  Connect();
  ASSERT_TRUE(client_->WaitFor(1, absl::Seconds(20)));
  const HeldDirective held = client_->Held();
  EXPECT_FALSE(held.expired);
  ASSERT_EQ(held.directive.settings.size(), 1u) << "unknown knobs are left out";
  EXPECT_EQ(held.directive.ValueOf(Knob::kRealShare), 0.5);
  EXPECT_EQ(held.directive.settings[0].reason, "the gap");
  EXPECT_EQ(peer_.watcher().receiver(), monitor::v1::RECEIVER_POLICY_TRAINER);
  EXPECT_EQ(peer_.watcher().member(), "policy_trainer");
  EXPECT_FALSE(client_->WaitFor(2, absl::Milliseconds(20)));

  peer_.FailAcknowledgements(2);
  client_->Acknowledge({.version = 1, .apply_seconds = 0.25});
  client_->Acknowledge({.version = 1, .apply_seconds = 0.5});
  client_->Acknowledge({.version = 2,
                        .outcome = DirectiveOutcome::kRefused,
                        .message = "rollback: not kept",
                        .refused = {Knob::kRollback}});
  ASSERT_TRUE(Eventually([&] { return peer_.acknowledged().size() >= 2; }));
  const auto told = peer_.acknowledged();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].version(), 1);
  EXPECT_EQ(told[0].outcome(), monitor::v1::OUTCOME_APPLIED);
  EXPECT_EQ(told[0].apply_seconds(), 0.25);
  EXPECT_EQ(told[0].member(), "policy_trainer");
  EXPECT_EQ(told[1].outcome(), monitor::v1::OUTCOME_REFUSED);
  EXPECT_EQ(told[1].message(), "rollback: not kept");
  ASSERT_EQ(told[1].refused_size(), 1);
  EXPECT_EQ(told[1].refused(0), monitor::v1::KNOB_ROLLBACK);
}

TEST_F(DirectiveClientTest, ExpiresWhileTheMonitorIsDeadAndGoesOnWhenItIsBack) {
  Connect();  // before there is a monitor
  EXPECT_EQ(client_->Held().directive.version, 0);
  EXPECT_FALSE(client_->Held().expired);
  peer_.Set(1, 0.5, 0.3);
  StartServer();
  ASSERT_TRUE(client_->WaitFor(1, absl::Seconds(20)));
  StopServer();
  ASSERT_TRUE(Eventually([&] { return client_->Held().expired; }));
  EXPECT_EQ(client_->Held().directive.ValueOf(Knob::kRealShare), 0.1);
  client_->Acknowledge({.version = 1, .outcome = DirectiveOutcome::kExpired});
  peer_.Set(2, 0.4, 60);
  StartServer();
  ASSERT_TRUE(client_->WaitFor(2, absl::Seconds(20)));
  EXPECT_EQ(client_->Held().directive.ValueOf(Knob::kRealShare), 0.4);
  ASSERT_TRUE(Eventually([&] { return peer_.acknowledged().size() == 1; }));
}

TEST_F(DirectiveClientTest, LeavesAMonitorThatIsConnectedAndSilent) {
  peer_.silent = true;
  peer_.Set(1, 0.5, 60);
  StartServer();
  Connect(absl::Milliseconds(100));
  EXPECT_FALSE(client_->WaitFor(1, absl::Milliseconds(300)));
  peer_.silent = false;
  EXPECT_TRUE(client_->WaitFor(1, absl::Seconds(20)));
}

TEST_F(DirectiveClientTest, StopEndsEveryWait) {
  Connect();
  std::thread stopper([&] {
    absl::SleepFor(absl::Milliseconds(30));
    client_->Stop();
  });
  const absl::Time start = absl::Now();
  EXPECT_FALSE(client_->WaitFor(1, absl::Seconds(60)));
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
  stopper.join();
}

}  // namespace
}  // namespace tandem
