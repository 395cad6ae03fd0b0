#include "services/monitor/core/monitor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "services/monitor/core/testing/monitor_fixture.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using testing::kScale;
using testing::ModelFile;
using testing::PolicyFile;
using testing::WorldSteps;

class MonitorTest : public testing::MonitorFixture {};

TEST_F(MonitorTest, NothingIsKnownBeforeTheFirstData) {
  Make();
  monitor_->Tick();
  Run();
  EXPECT_EQ(judge_->Report().checkpoints, 0);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 0);
  EXPECT_TRUE(PageHas("tandem_coadaptation_index_ratio Nan")) << registry_.Page();
  EXPECT_TRUE(PageHas("tandem_return_gap_ratio{horizon=\"25\"} Nan"));
  EXPECT_TRUE(PageHas("tandem_coadaptation_last_update_timestamp_seconds Nan"));
}

TEST_F(MonitorTest, EachStepIsScoredWithTheModelThatHadNotSeenIt) {
  Make();
  Publish(policies_, PolicyFile(0));
  Publish(models_, ModelFile(50, {.reward = 0.1}));
  AddSteps(WorldSteps(50));  // seen by every model
  Run();
  monitor_->Tick();
  EXPECT_EQ(monitor_->GetReport().fresh_steps_dropped, 50);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"no_model\"} 50"));
  AddSteps(WorldSteps(100));  // 50 to 149
  ASSERT_TRUE(monitor_->ReadChunk(absl::Milliseconds(1)).ok());
  Publish(models_, ModelFile(130, {.reward = 0.2}));
  monitor_->Tick();
  Checkpoint checkpoint = judge_->Report().checkpoint;
  EXPECT_NEAR(checkpoint.index, 0.1, 1e-5);  // the older model
  EXPECT_EQ(checkpoint.fresh_steps, 80);
  EXPECT_EQ(checkpoint.env_steps, 130);
  AddSteps(WorldSteps(40));
  checkpoint = End(190);
  EXPECT_NEAR(checkpoint.index, 0.2, 1e-5);  // the newer one
  EXPECT_EQ(checkpoint.fresh_steps, 60);     // the 20 that were left and 40
}

TEST_F(MonitorTest, TheFreshStepsOfACheckpointWaitUntilAllAreRead) {
  Begin({});
  AddSteps(WorldSteps(60));
  Run();
  Publish(models_, ModelFile(100));
  monitor_->Tick();
  EXPECT_EQ(judge_->Report().checkpoints, 0);
  AddSteps(WorldSteps(40));
  Run();
  EXPECT_EQ(judge_->Report().checkpoint.fresh_steps, 100);
}

TEST_F(MonitorTest, AModelThatIsNotFollowedByAnotherIsJudgedEachWindow) {
  options_.window = 100;
  Begin({.reward = 0.3});
  for (int64_t number = 1; number <= 3; ++number) {
    AddSteps(WorldSteps(100));
    Run();
    const Checkpoint checkpoint = judge_->Report().checkpoint;
    EXPECT_EQ(checkpoint.number, number);
    EXPECT_EQ(checkpoint.env_steps, 100 * number);
    EXPECT_EQ(checkpoint.model_age, 100 * number);
    EXPECT_NEAR(checkpoint.index, 0.3, 1e-5);
  }
}

TEST_F(MonitorTest, TooManyFreshStepsDropTheOldestAndAreCounted) {
  options_.capacity = 100;
  options_.window = 100;
  Begin({});
  AddSteps(WorldSteps(630));
  Run();
  EXPECT_EQ(monitor_->GetReport().fresh_steps_dropped, 530);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 100);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"overflow\"} 530"));
}

TEST_F(MonitorTest, OneCheckpointScoresABoundedNumberOfSteps) {
  options_.survey.max_rows = 40;
  Surveyed({});
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 40);
}

TEST_F(MonitorTest, StepsOfRandomActionsAndOfOldPoliciesDoNotCount) {
  options_.max_policy_lag = 100;
  Begin({});
  AddSteps(WorldSteps(20, Split::kTrain, /*policy_version=*/0));
  AddSteps(WorldSteps(60, Split::kTrain, /*policy_version=*/1));  // 0 updates
  Publish(policies_, PolicyFile(500));
  Run();
  AddSteps(WorldSteps(70, Split::kTrain, /*policy_version=*/2));  // 500 updates
  const Checkpoint checkpoint = End(150);
  EXPECT_EQ(checkpoint.fresh_steps, 70);
  EXPECT_EQ(checkpoint.policy_lag, 0);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"old_policy\"} 60"));
}

TEST_F(MonitorTest, ARestartKeepsTheUnitAndWhatIsComparedOverTime) {
  const MonitorDeps deps = Deps();
  ReturnMemory returns;  // the best episodes are held no longer
  returns.scale = {.first = 0, .best = 3 * kScale, .first_episodes = {}};
  returns.through_env_steps = 0;
  for (int i = 0; i < 8; ++i) {
    Checkpoint past;
    past.index = 0.25;
    past.model_return = i;
    past.real_return = i * i;
    past.gap_evaluation = 0.5;
    past.wall_seconds = 1000 + i;
    deps.judge->OnCheckpoint(past, returns);
  }
  Make();
  EXPECT_TRUE(PageHas("tandem_coadaptation_index_ratio 0.25"));
  EXPECT_TRUE(PageHas("tandem_coadaptation_last_update_timestamp_seconds 1007"));
  Publish(models_, ModelFile(0, {.reward = 0.3}));
  Publish(policies_, PolicyFile(0));
  Run();
  monitor_->Tick();
  AddSteps(WorldSteps(200));
  const Checkpoint checkpoint = End(200);
  EXPECT_EQ(checkpoint.number, 9);
  EXPECT_EQ(checkpoint.return_scale, 3 * kScale);
  EXPECT_NEAR(checkpoint.index, 0.1, 1e-5);
  EXPECT_EQ(checkpoint.rank_correlation, 1);
  EXPECT_EQ(checkpoint.gap_evaluation, 0.5);
  ASSERT_TRUE(deps.judge->returns().has_value());
  EXPECT_EQ(deps.judge->returns()->scale.best, 3 * kScale);
}

TEST_F(MonitorTest, StepsOfAPolicyThatItsTrainerLostInARestartAreOld) {
  options_.max_policy_lag = 100;
  snapshot::SnapshotStore anew(snapshot::kPolicySeries, /*epoch=*/2);
  testing::SwitchedSource source(&policies_);
  MonitorDeps deps = Deps();
  deps.policies = &source;
  monitor_ = *Monitor::Create(options_, deps);
  Publish(models_, ModelFile(0));
  Publish(policies_, PolicyFile(5000));
  Run();
  monitor_->Tick();
  const auto by = [](int64_t count, uint64_t epoch) {
    const uint64_t tag = snapshot::Version{.epoch = epoch, .version = 1}.Tag();
    return WorldSteps(count, Split::kTrain, static_cast<int64_t>(tag));
  };
  AddSteps(by(60, 1));
  source.SwitchTo(&anew);
  Publish(anew, PolicyFile(40));
  Run();
  AddSteps(by(70, 2));
  AddSteps(by(30, 9));  // of a trainer that was never heard of
  const Checkpoint checkpoint = End(160);
  EXPECT_EQ(checkpoint.fresh_steps, 70);
  EXPECT_EQ(checkpoint.policy_lag, 0);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"old_policy\"} 90"));
}

TEST_F(MonitorTest, ASnapshotThatCannotBeLoadedIsSkipped) {
  Begin({.reward = 0.3});
  nn::TensorFile broken;
  broken.metadata = {{snapshot::kThroughIndexKey, "what"}};
  Publish(models_, broken);
  Publish(policies_, broken);
  AddSteps(WorldSteps(100));
  Run();
  EXPECT_EQ(monitor_->GetReport().model_version, 1u);
  EXPECT_TRUE(PageHas("tandem_monitor_snapshot_failures_total{series=\"model\"} 1"));
  EXPECT_TRUE(PageHas("tandem_monitor_snapshot_failures_total{series=\"policy\"} 1"));
  monitor_->Tick();
  EXPECT_TRUE(PageHas("tandem_monitor_snapshot_failures_total{series=\"model\"} 1"));
  EXPECT_NEAR(End(100).index, 0.3, 1e-5);
}

TEST_F(MonitorTest, AClockThatStepsBackDoesNoHarm) {
  Surveyed({});
  clock_.Advance(absl::Seconds(-3000));
  AddSteps(WorldSteps(100));
  const Checkpoint checkpoint = End(300);
  EXPECT_EQ(checkpoint.number, 2);
  EXPECT_TRUE(std::isfinite(checkpoint.wall_seconds));
}

TEST_F(MonitorTest, GoesOnAfterTheReplayBufferWasGone) {
  Begin({});
  replay_.FailNext(absl::UnavailableError("gone"), 1);
  AddSteps(WorldSteps(100));
  EXPECT_EQ(End(100).fresh_steps, 100);
}

TEST_F(MonitorTest, RunsOnItsOwnThreadsAndStops) {
  options_.interval = absl::Milliseconds(5);
  options_.window = 200;
  Make();
  Publish(models_, ModelFile(0, {.reward = 0.3}));
  Publish(policies_, PolicyFile(0));
  monitor_->Start();
  AddSteps(WorldSteps(200));
  for (int i = 0; i < 2000 && judge_->Report().checkpoints < 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_NEAR(judge_->Report().checkpoint.index, 0.3, 1e-5);
  monitor_->Stop();
  monitor_->Stop();
}

TEST_F(MonitorTest, BadOptionsAreRefused) {
  const MonitorDeps deps = Deps();
  options_.window = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(Monitor::Create(options_, deps).status()));
  options_.window = 100;
  options_.survey.rollouts = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(Monitor::Create(options_, deps).status()));
  options_.survey.rollouts = 1;
  MonitorDeps missing = deps;
  missing.judge = nullptr;
  EXPECT_TRUE(absl::IsInvalidArgument(Monitor::Create(options_, missing).status()));
}
}  // namespace
}  // namespace tandem::monitor
