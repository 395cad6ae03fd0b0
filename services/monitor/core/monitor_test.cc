#include "services/monitor/core/monitor.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using testing::EvaluationEpisode;
using testing::Fault;
using testing::ModelFile;
using testing::PolicyFile;
using testing::TrainingEpisode;
using testing::WorldSteps;

constexpr double kScale = 100;  // of returns: the first is 0, the best 100
constexpr int64_t kEpisodeSteps = 50;

/// A monitor over in-memory fakes, driven by hand. discount .99 and scale 100 make (1 - g) S = 1,
/// so the index is the mean bias of a step.
class MonitorTest : public ::testing::Test {
 protected:
  MonitorTest() : models_(snapshot::kModelSeries, 1), policies_(snapshot::kPolicySeries, 1) {
    options_.survey.updates_tolerance = 10;
    options_.window = 5000;
    replay_.SetSpec(testing::WorldSpec(kEpisodeSteps));
    for (int i = 0; i < 10; ++i) replay_.AddEpisode(TrainingEpisode(0));
    for (int i = 0; i < 5; ++i) replay_.AddEpisode(TrainingEpisode(kScale));
  }

  MonitorDeps Deps() {
    if (judge_ == nullptr) {
      auto judge = Judge::Create({}, &clock_, &registry_);
      EXPECT_TRUE(judge.ok()) << judge.status();
      judge_ = *std::move(judge);
    }
    return {&replay_, &models_,   &policies_,  testing::LoadFakeModel, testing::LoadFakePolicy,
            &clock_,  &registry_, judge_.get()};
  }

  Monitor& Make() {
    auto monitor = Monitor::Create(options_, Deps());
    EXPECT_TRUE(monitor.ok()) << monitor.status();
    monitor_ = *std::move(monitor);
    return *monitor_;
  }

  void Publish(snapshot::SnapshotStore& store, const nn::TensorFile& file) {
    const auto published = store.Publish(file);
    ASSERT_TRUE(published.ok()) << published.status();
  }

  /// Adds steps of an episode of their own.
  void AddSteps(TransitionBatch steps) {
    steps.episodes.assign(steps.size(), ++episode_);
    replay_.AddSteps(std::move(steps));
  }

  /// Reads what the replay buffer holds, then takes it in.
  void Run() {
    const absl::Status status = monitor_->ReadChunk(absl::Milliseconds(1));
    ASSERT_TRUE(status.ok()) << status;
    monitor_->Tick();
  }

  /// A monitor that follows a model with a fault and a critic.
  void Begin(const Fault& fault, double offset = 0, double slope = 0, int64_t updates = 0) {
    Make();
    Publish(models_, ModelFile(0, fault));
    Publish(policies_, PolicyFile(updates, offset, slope));
    Run();
    monitor_->Tick();  // the policy that it saw after the model
  }

  /// The next model comes, `through` steps on: the checkpoint ends.
  Checkpoint End(int64_t through) {
    Publish(models_, ModelFile(through));
    Run();
    return judge_->Report().checkpoint;
  }

  /// One model with a fault, one critic, 200 fresh steps: the checkpoint of that.
  Checkpoint Surveyed(const Fault& fault, double offset = 0, double slope = 0) {
    Begin(fault, offset, slope);
    AddSteps(WorldSteps(200));
    return End(200);
  }

  bool PageHas(const std::string& line) const {
    return registry_.Page().find("\n" + line + "\n") != std::string::npos;
  }

  FakeReplayClient replay_;
  snapshot::SnapshotStore models_;
  snapshot::SnapshotStore policies_;
  FakeClock clock_;
  metrics::Registry registry_;
  MonitorOptions options_;
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<Monitor> monitor_;
  int64_t episode_ = 0;
};

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

TEST_F(MonitorTest, AnExactModelHasNoGap) {
  const Checkpoint checkpoint = Surveyed({}, /*offset=*/3, /*slope=*/0);
  EXPECT_NEAR(checkpoint.index, 0, 1e-6);
  EXPECT_NEAR(checkpoint.gap_5, 0, 1e-9);
  EXPECT_NEAR(checkpoint.gap_100, 0, 1e-9);
  EXPECT_NEAR(checkpoint.return_scale, kScale, 1e-9);
  EXPECT_EQ(checkpoint.number, 1);
  EXPECT_EQ(checkpoint.env_steps, 200);
  EXPECT_EQ(checkpoint.model_env_steps, 0);
  EXPECT_EQ(checkpoint.fresh_steps, 200);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 200);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_dropped, 0);
  EXPECT_NEAR(checkpoint.open_loop_20, 0, 1e-6);
  EXPECT_TRUE(std::isnan(checkpoint.disagreement_real));  // no output varies: it has no unit
  EXPECT_TRUE(PageHas("tandem_coadaptation_index_ratio 0"));
}

TEST_F(MonitorTest, PlantedRewardOptimismRaisesIndexAndGapsByThatAmount) {
  const Checkpoint checkpoint = Surveyed({.reward = 0.3});
  EXPECT_NEAR(checkpoint.index, 0.3, 1e-5);
  EXPECT_NEAR(checkpoint.index_reward, 0.3, 1e-5);
  EXPECT_NEAR(checkpoint.index_dynamics, 0, 1e-6);
  EXPECT_NEAR(checkpoint.unsigned_index, 0.3, 1e-5);
  EXPECT_NEAR(checkpoint.residual, -0.3, 1e-5);  // a critic of 0 has not seen the bonus
  // .3 a step over 200 steps, the longest episode seen, in units of 100.
  EXPECT_NEAR(checkpoint.gap_5, 0.6, 1e-4);
  EXPECT_NEAR(checkpoint.gap_25, 0.6, 1e-4);
  EXPECT_NEAR(checkpoint.gap_100, 0.6, 1e-4);
  EXPECT_EQ(checkpoint.block_steps, 50);
  EXPECT_NEAR(checkpoint.index_error, 0, 1e-6);
  EXPECT_EQ(checkpoint.clipped_share, 0);
}

TEST_F(MonitorTest, PlantedDynamicsErrorCountsByWhatTheCriticMakesOfIt) {
  // Each imagined step lands 2 too far, where the critic sees .1 more each.
  const Checkpoint checkpoint = Surveyed({.shift = 2}, /*offset=*/0, /*slope=*/0.1);
  EXPECT_NEAR(checkpoint.index_dynamics, 0.99 * 0.2, 1e-4);
  EXPECT_NEAR(checkpoint.index_reward, 0, 1e-6);
  // 2 further at each of 5 steps; observations 0 to 199 have a deviation of 57.7.
  EXPECT_NEAR(checkpoint.open_loop_5, 10 / 57.74, 1e-3);
  EXPECT_NEAR(checkpoint.open_loop_20, 40 / 57.74, 1e-3);
}

TEST_F(MonitorTest, PlantedFalseEndsCountAsTermination) {
  const Checkpoint checkpoint = Surveyed({.terminates = true}, /*offset=*/0.25);
  EXPECT_NEAR(checkpoint.index_termination, -0.99 * 0.25, 1e-5);
}

TEST_F(MonitorTest, AnErrorBeyondAllBoundsIsClippedAndCounted) {
  const Checkpoint checkpoint = Surveyed({.reward = 1e6});
  EXPECT_NEAR(checkpoint.index, 10 * kScale, 1e-3);
  EXPECT_EQ(checkpoint.clipped_share, 1);
  EXPECT_TRUE(PageHas("tandem_bias_clipped_total 200"));
}

TEST_F(MonitorTest, AModelThatIsNotFiniteLeavesItsFiguresUnknown) {
  const Checkpoint checkpoint = Surveyed({.reward = std::numeric_limits<double>::quiet_NaN()});
  EXPECT_EQ(checkpoint.number, 1);
  EXPECT_TRUE(std::isnan(checkpoint.index));
  EXPECT_TRUE(std::isnan(checkpoint.error_onpolicy));
  EXPECT_TRUE(checkpoint.blocks.empty());
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 0);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"nonfinite\"} 200"));
  EXPECT_TRUE(PageHas("tandem_coadaptation_index_ratio Nan"));
}

TEST_F(MonitorTest, StepsThatAreNotFiniteAreDropped) {
  Begin({});
  TransitionBatch steps = WorldSteps(100);
  steps.rewards[3] = std::numeric_limits<float>::infinity();
  AddSteps(steps);
  EXPECT_EQ(End(100).fresh_steps, 99);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"nonfinite\"} 1"));
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

TEST_F(MonitorTest, TheErrorOnFreshStepsIsHeldAgainstThatOnHeldOutOnes) {
  Make();
  Publish(policies_, PolicyFile(0));
  TransitionBatch heldout = WorldSteps(100, Split::kHoldout, /*policy_version=*/0);
  for (int64_t i = 0; i < heldout.size(); ++i) {  // a world that varies has a spread to measure by
    heldout.next_observations[i] += i % 2 == 0 ? 0.5f : -0.5f;
  }
  AddSteps(heldout);
  Publish(models_, ModelFile(100, {.noise = 0.25}));  // off by .25
  Run();
  monitor_->Tick();
  TransitionBatch fresh = heldout;
  fresh.policy_versions.assign(fresh.size(), 1);
  for (int64_t i = 0; i < fresh.size(); ++i) {
    fresh.next_observations[i] += i % 2 == 0 ? 0.25f : -0.25f;  // now off by .5
  }
  AddSteps(fresh);
  const Checkpoint checkpoint = End(200);
  EXPECT_NEAR(checkpoint.error_ratio, 2, 1e-4);
  EXPECT_NEAR(checkpoint.error_onpolicy / checkpoint.error_heldout, 2, 1e-4);
  EXPECT_NEAR(checkpoint.error_onpolicy, 0.5 / 0.63, 0.03);                // in standard deviations
  EXPECT_TRUE(std::isnan(checkpoint.nll_onpolicy));                        // the fake has no spread
  EXPECT_NEAR(checkpoint.crps_onpolicy, checkpoint.error_onpolicy, 1e-6);  // then CRPS is |error|
}

TEST_F(MonitorTest, TrainingEpisodesThatEndInTheCheckpointArePaired) {
  Begin({.reward = 0.6}, 0, 0, /*updates=*/400);
  AddSteps(WorldSteps(100));
  Episode episode = TrainingEpisode(10);
  episode.policy_version = 1;
  episode.policy_updates = 405;
  for (int64_t end : {40, 100, 101}) {  // the last one belongs to the next checkpoint
    episode.env_steps = end;
    replay_.AddEpisode(episode);
    episode.episode_return = 20;
  }
  episode.policy_updates = 100;  // of a policy that is held no longer
  episode.env_steps = 100;
  const Checkpoint checkpoint = End(100);
  EXPECT_EQ(checkpoint.fresh_episodes, 2);
  EXPECT_NEAR(checkpoint.model_return, 0.6 * kEpisodeSteps, 1e-4);
  EXPECT_NEAR(checkpoint.real_return, 15, 1e-9);
  EXPECT_NEAR(checkpoint.gap_episode, 0.15, 1e-4);
  EXPECT_NEAR(checkpoint.gap_episode_error, 0.05, 1e-4);
  EXPECT_TRUE(std::isnan(checkpoint.gap_evaluation));
  AddSteps(WorldSteps(60));
  EXPECT_EQ(End(160).fresh_episodes, 1);
}

TEST_F(MonitorTest, AnEvaluationIsHeldAgainstTheModelBeforeItAndNothingElse) {
  options_.window = 150;
  Begin({.reward = 0.6}, 0, 0, /*updates=*/400);
  AddSteps(WorldSteps(100));
  Episode episode = EvaluationEpisode(1, 2, /*episode_return=*/4, /*policy_updates=*/405);
  episode.env_steps = 100;
  replay_.AddEpisode(episode);
  Run();
  EXPECT_FALSE(PageHas("tandem_return_comparisons_total{outcome=\"compared\"} 1"));  // one of two
  Publish(models_, ModelFile(100, {.reward = 7}));  // fitted when the evaluation was played
  Run();
  episode.episode_return = 6;
  replay_.AddEpisode(episode);
  Run();
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"compared\"} 1"));
  EXPECT_TRUE(std::isnan(judge_->Report().checkpoint.gap_evaluation));
  EXPECT_TRUE(std::isnan(judge_->Report().checkpoint.gap_episode));
  AddSteps(WorldSteps(60));
  const Checkpoint checkpoint = End(160);
  EXPECT_NEAR(checkpoint.gap_evaluation, (0.6 * kEpisodeSteps - 5) / kScale, 1e-4);
  EXPECT_TRUE(std::isnan(checkpoint.gap_episode));
  EXPECT_NEAR(checkpoint.evaluation_return, 5, 1e-9);
}

TEST_F(MonitorTest, AnEvaluationWaitsForItsPolicyAndOneOfAnOldOneIsLeftOut) {
  Begin({}, 0, 0, /*updates=*/400);
  AddSteps(WorldSteps(100));
  Episode episode = EvaluationEpisode(1, 1, 4, /*policy_updates=*/900);
  episode.env_steps = 90;
  replay_.AddEpisode(episode);
  Run();
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"compared\"} 0"));
  Publish(policies_, PolicyFile(900));
  monitor_->Tick();
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"compared\"} 1"));
  episode.evaluation_id = 2;
  episode.policy_updates = 100;
  replay_.AddEpisode(episode);
  Run();
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"policy_gone\"} 1"));
}

TEST_F(MonitorTest, AnEpisodeLongerThanTheBudgetIsNotCompared) {
  options_.evaluation_model_steps = kEpisodeSteps - 1;
  Begin({});
  AddSteps(WorldSteps(100));
  Episode episode = EvaluationEpisode(1, 1, 4, 0);
  episode.env_steps = 90;
  replay_.AddEpisode(episode);
  Run();
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"too_long\"} 1"));
}

TEST_F(MonitorTest, TheCriticIsThatOfThePolicyThatTrainedInTheModel) {
  Make();
  nn::TensorFile policy = PolicyFile(100, /*offset=*/0, /*slope=*/0.1);
  policy.metadata[snapshot::kModelVersionKey] = "1";
  policy.metadata[snapshot::kHorizonKey] = "3";
  Publish(models_, ModelFile(0, {.shift = 2}));
  Publish(policies_, policy);
  Run();
  monitor_->Tick();
  AddSteps(WorldSteps(100));
  Run();
  policy = PolicyFile(900, /*offset=*/0, /*slope=*/7);
  policy.metadata[snapshot::kModelVersionKey] = "2";  // trained in the next one already
  Publish(policies_, policy);
  monitor_->Tick();
  const Checkpoint checkpoint = End(100);
  EXPECT_EQ(checkpoint.policy_updates, 100);
  EXPECT_NEAR(checkpoint.index_dynamics, 0.99 * 0.2, 1e-4);
  EXPECT_EQ(checkpoint.horizon, 3);
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
