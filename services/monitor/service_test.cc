#include "services/monitor/service.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/testing/judge_fixture.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kToken;

class MonitorServiceTest : public ::testing::Test {
 protected:
  void Start(absl::Duration ttl = absl::Seconds(120), size_t max_watchers = 256) {
    token_file_ = ::testing::TempDir() + "/monitor_service_test_token";
    testing::WriteToken(token_file_);
    JudgeOptions options;
    options.controller.act = true;
    options.controller.horizon = 8;
    options.token_file = token_file_;
    options.desk.ttl = ttl;
    options.desk.max_watchers = max_watchers;
    auto judge = Judge::Create(options, Clock::Real(), &registry_);
    ASSERT_TRUE(judge.ok()) << judge.status();
    judge_ = *std::move(judge);
    MonitorDeps deps = {&replay_, &models_,      &policies_, nullptr,
                        nullptr,  Clock::Real(), &registry_};
    deps.load_model = [](const auto&, const auto&) { return absl::InternalError("unused"); };
    deps.load_policy = [](const auto&, const auto&) { return absl::InternalError("unused"); };
    deps.judge = judge_.get();
    auto core = Monitor::Create({}, deps);
    ASSERT_TRUE(core.ok()) << core.status();
    core_ = *std::move(core);
    service_ = std::make_unique<MonitorServiceImpl>(core_.get(), judge_.get(), &executor_,
                                                    "http://127.0.0.1:1");
    judge_->Start();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::MonitorService::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                            grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    service_->live_calls()->CancelAll();
    server_->Shutdown();
    judge_->Stop();
    std::filesystem::remove(token_file_);
  }

  /// Checkpoints with a large gap until the controller acts.
  void Exploit() {
    for (int i = 0; i < 30 && judge_->Report().directive.settings.empty(); ++i) {
      Checkpoint c;
      c.env_steps = 250 * (i + 1);
      c.gap_25 = c.gap_100 = c.gap_episode = 1;
      judge_->OnCheckpoint(c);
    }
    ASSERT_FALSE(judge_->Report().directive.settings.empty());
  }
  std::unique_ptr<grpc::ClientReader<v1::Directive>> Watch(grpc::ClientContext* context,
                                                           v1::Receiver receiver,
                                                           const std::string& member) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::WatchDirectivesRequest request;
    request.set_receiver(receiver);
    request.set_member(member);
    return stub_->WatchDirectives(context, request);
  }

  metrics::Registry registry_;
  FakeReplayClient replay_;
  snapshot::SnapshotStore models_{snapshot::kModelSeries, 1};
  snapshot::SnapshotStore policies_{snapshot::kPolicySeries, 1};
  std::string token_file_;
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<Monitor> core_;
  Executor executor_{1, 64};
  std::unique_ptr<MonitorServiceImpl> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::MonitorService::Stub> stub_;
};

TEST_F(MonitorServiceTest, AnswersBeforeAnythingIsKnown) {
  Start();
  grpc::ClientContext context;
  v1::GetReportResponse response;
  const grpc::Status status = stub_->GetReport(&context, {}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.verdict(), v1::VERDICT_WARMING_UP);
  EXPECT_TRUE(std::isnan(response.index()));
  EXPECT_LT(response.age_seconds(), 0);
  EXPECT_EQ(response.controller_state(), "healthy");
  EXPECT_EQ(response.dashboard(), "http://127.0.0.1:1");
}

TEST_F(MonitorServiceTest, AWatcherSeesAChangeAndAcknowledgesIt) {
  Start();
  grpc::ClientContext watching;
  const auto reader = Watch(&watching, v1::RECEIVER_POLICY_TRAINER, "policy_trainer");
  v1::Directive directive;
  ASSERT_TRUE(reader->Read(&directive));
  EXPECT_EQ(directive.version(), 0);
  EXPECT_EQ(directive.ttl_seconds(), 120);
  Exploit();
  ASSERT_TRUE(reader->Read(&directive));
  ASSERT_EQ(directive.settings_size(), 1);
  EXPECT_EQ(directive.settings(0).knob(), v1::KNOB_REAL_SHARE);
  EXPECT_EQ(directive.settings(0).value(), 1);

  v1::AcknowledgeRequest request;
  request.set_receiver(v1::RECEIVER_POLICY_TRAINER);
  request.set_member("policy_trainer");
  request.set_version(directive.version());
  request.set_outcome(v1::OUTCOME_APPLIED);
  request.set_apply_seconds(0.25);
  v1::AcknowledgeResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->Acknowledge(&context, request, &response).ok());
  }
  request.set_version(directive.version() + 1);
  {
    grpc::ClientContext context;
    EXPECT_EQ(stub_->Acknowledge(&context, request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
  grpc::ClientContext context;
  v1::GetHistoryResponse history;
  ASSERT_TRUE(stub_->GetHistory(&context, {}, &history).ok());
  EXPECT_GT(history.checkpoints_size(), 3);
  EXPECT_EQ(history.next_checkpoint(), history.checkpoints_size());
  std::vector<std::string> kinds;
  for (const v1::HistoryEvent& event : history.events()) kinds.push_back(event.kind());
  EXPECT_THAT(kinds, ElementsAre("alarm", "action", "acknowledged"));
  EXPECT_THAT(history.events(2).text(), HasSubstr("by policy_trainer policy_trainer after 0.2 s"));
}

TEST_F(MonitorServiceTest, ADirectiveIsRenewedEachThirdOfItsTimeToLive) {
  Start(absl::Milliseconds(900));
  grpc::ClientContext watching;
  const auto reader = Watch(&watching, v1::RECEIVER_ACTOR, "actor-0");
  v1::Directive directive;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(reader->Read(&directive)) << i;
  EXPECT_EQ(directive.version(), 0);
}

TEST_F(MonitorServiceTest, StreamsEndWithTheServer) {
  Start();
  grpc::ClientContext watching;
  const auto reader = Watch(&watching, v1::RECEIVER_MODEL_TRAINER, "model_trainer");
  v1::Directive directive;
  ASSERT_TRUE(reader->Read(&directive));
  service_->live_calls()->CancelAll();
  EXPECT_FALSE(reader->Read(&directive));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  Exploit();  // wakes nobody
}

TEST_F(MonitorServiceTest, AWatcherTooManyIsSentAway) {
  Start(absl::Seconds(120), /*max_watchers=*/1);
  grpc::ClientContext first;
  const auto reader = Watch(&first, v1::RECEIVER_ACTOR, "actor-0");
  v1::Directive directive;
  ASSERT_TRUE(reader->Read(&directive));
  grpc::ClientContext second;
  const auto refused = Watch(&second, v1::RECEIVER_ACTOR, "actor-1");
  EXPECT_FALSE(refused->Read(&directive));
  EXPECT_EQ(refused->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  grpc::ClientContext nobody;
  const auto unknown = Watch(&nobody, v1::RECEIVER_UNSPECIFIED, "x");
  EXPECT_FALSE(unknown->Read(&directive));
  EXPECT_EQ(unknown->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(MonitorServiceTest, OverridesByRpc) {
  Start();
  v1::SetOverrideRequest request;
  request.set_knob(v1::KNOB_REAL_SHARE);
  request.set_value(0.5);
  request.set_reason("ops: a try");
  v1::SetOverrideResponse response;
  const auto call = [&] {
    grpc::ClientContext context;
    return stub_->SetOverride(&context, request, &response);
  };
  EXPECT_EQ(call().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  request.set_token(kToken);
  ASSERT_TRUE(call().ok());
  ASSERT_EQ(response.directive().settings_size(), 1);
  EXPECT_EQ(response.directive().settings(0).value(), 0.5);
  request.set_value(7);
  const grpc::Status refused = call();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("expected 0 to 1"));
  request.clear_value();
  ASSERT_TRUE(call().ok());
  EXPECT_EQ(response.directive().settings_size(), 0);
}

}  // namespace
}  // namespace tandem::monitor
