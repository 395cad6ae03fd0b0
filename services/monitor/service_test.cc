#include "services/monitor/service.h"

#include <cmath>
#include <memory>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"

namespace tandem::monitor {
namespace {

TEST(EncodeTest, EveryFigureHasItsField) {
  Report report;
  JudgeReport judged;
  coadaptation::Checkpoint& checkpoint = judged.checkpoint;
  judged.judgement.verdict = coadaptation::Verdict::kExploiting;
  judged.judgement.sentence = "a sentence";
  checkpoint.index = 1;
  checkpoint.index_reward = 2;
  checkpoint.index_dynamics = 3;
  checkpoint.index_termination = 4;
  checkpoint.residual = 5;
  checkpoint.model_return = 6;
  checkpoint.real_return = 7;
  checkpoint.gap_episode = 8;
  checkpoint.return_scale = 9;
  checkpoint.error_ratio = 10;
  checkpoint.error_onpolicy = 11;
  checkpoint.error_heldout = 12;
  report.fresh_steps_scored = 13;
  report.fresh_steps_dropped = 14;
  report.model_version = 15;
  report.policy_version = 16;
  report.model_age_env_steps = 17;
  report.policy_lag_updates = 18;
  report.env_steps = 19;
  judged.age_seconds = 20;
  report.training_return = 21;
  report.evaluation_return = 22;
  v1::GetReportResponse response;
  Encode(report, judged, &response);
  EXPECT_EQ(response.verdict(), v1::VERDICT_EXPLOITING);
  EXPECT_EQ(response.sentence(), "a sentence");
  // The figures 1 to 22 fill the fields 3 to 24 in order.
  const auto* descriptor = response.GetDescriptor();
  const auto* reflection = response.GetReflection();
  for (int i = 3; i <= 24; ++i) {
    const auto* field = descriptor->FindFieldByNumber(i);
    using Field = google::protobuf::FieldDescriptor;
    const double value = field->cpp_type() == Field::CPPTYPE_DOUBLE
                             ? reflection->GetDouble(response, field)
                         : field->cpp_type() == Field::CPPTYPE_INT64
                             ? static_cast<double>(reflection->GetInt64(response, field))
                             : static_cast<double>(reflection->GetUInt64(response, field));
    EXPECT_EQ(value, i - 2) << field->name();
  }
}

TEST(EncodeTest, VerdictsAreThoseOfTheWire) {
  EXPECT_EQ(v1::Verdict_Name(static_cast<v1::Verdict>(coadaptation::Verdict::kWarmingUp)),
            "VERDICT_WARMING_UP");
  EXPECT_EQ(v1::Verdict_Name(static_cast<v1::Verdict>(coadaptation::Verdict::kHealthy)),
            "VERDICT_HEALTHY");
  EXPECT_EQ(v1::Verdict_Name(static_cast<v1::Verdict>(coadaptation::Verdict::kWarning)),
            "VERDICT_WARNING");
  EXPECT_EQ(v1::Verdict_Name(static_cast<v1::Verdict>(coadaptation::Verdict::kPessimistic)),
            "VERDICT_PESSIMISTIC");
  EXPECT_EQ(v1::Verdict_Name(static_cast<v1::Verdict>(coadaptation::Verdict::kStale)),
            "VERDICT_STALE");
}

TEST(MonitorServiceTest, AnswersBeforeAnythingIsKnown) {
  FakeReplayClient replay;
  snapshot::SnapshotStore models(snapshot::kModelSeries, 1);
  snapshot::SnapshotStore policies(snapshot::kPolicySeries, 1);
  metrics::Registry registry;
  const auto judge = Judge::Create({}, Clock::Real(), &registry);
  ASSERT_TRUE(judge.ok()) << judge.status();
  MonitorDeps deps = {&replay, &models,       &policies, nullptr,
                      nullptr, Clock::Real(), &registry, judge->get()};
  deps.load_model = [](const auto&, const auto&) { return absl::InternalError("unused"); };
  deps.load_policy = [](const auto&, const auto&) { return absl::InternalError("unused"); };
  const auto core = Monitor::Create({}, deps);
  ASSERT_TRUE(core.ok()) << core.status();
  Executor executor(1, 8);
  MonitorServiceImpl service(core->get(), judge->get(), &executor);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = v1::MonitorService::NewStub(server->InProcessChannel({}));
  grpc::ClientContext context;
  v1::GetReportResponse response;
  const grpc::Status status = stub->GetReport(&context, {}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.verdict(), v1::VERDICT_WARMING_UP);
  EXPECT_TRUE(std::isnan(response.index()));
  EXPECT_LT(response.age_seconds(), 0);
  EXPECT_EQ(response.figures().size(), coadaptation::CheckpointFields().size());
  EXPECT_TRUE(std::isnan(response.figures().at("c2st_auc")));
  server->Shutdown();
}

}  // namespace
}  // namespace tandem::monitor
