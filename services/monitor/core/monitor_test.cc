#include "services/monitor/core/monitor.h"

#include <chrono>
#include <cmath>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using coadaptation::Verdict;
using testing::EvaluationEpisode;
using testing::Fault;
using ::testing::HasSubstr;
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
    options_.thresholds.warmup_refits = 1;
    options_.thresholds.min_window_steps = 50;
    options_.comparison.updates_tolerance = 10;
    replay_.SetSpec(testing::WorldSpec(kEpisodeSteps));
    for (int i = 0; i < 10; ++i) replay_.AddEpisode(TrainingEpisode(0));
    for (int i = 0; i < 5; ++i) replay_.AddEpisode(TrainingEpisode(kScale));
  }

  Monitor& Make() {
    const MonitorDeps deps = {
        &replay_, &models_,  &policies_, testing::LoadFakeModel, testing::LoadFakePolicy,
        &clock_,  &registry_};
    auto monitor = Monitor::Create(options_, deps);
    EXPECT_TRUE(monitor.ok()) << monitor.status();
    monitor_ = *std::move(monitor);
    return *monitor_;
  }

  void Publish(snapshot::SnapshotStore& store, const nn::TensorFile& file) {
    const auto published = store.Publish(file);
    ASSERT_TRUE(published.ok()) << published.status();
  }

  /// Reads what the replay buffer holds, then computes.
  void Run() {
    const absl::Status status = monitor_->ReadChunk(absl::Milliseconds(1));
    ASSERT_TRUE(status.ok()) << status;
    monitor_->Tick();
  }

  /// One model with a fault, one critic, 200 fresh steps: the report of that.
  Report Judged(const Fault& fault, double offset = 0, double slope = 0) {
    Make();
    Publish(models_, ModelFile(0, fault));
    Publish(policies_, PolicyFile(0, offset, slope));
    replay_.AddSteps(WorldSteps(200));
    Run();
    return monitor_->GetReport();
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
  std::unique_ptr<Monitor> monitor_;
};

TEST_F(MonitorTest, NothingIsKnownBeforeTheFirstData) {
  Make();
  monitor_->Tick();
  Run();
  const Report report = monitor_->GetReport();
  EXPECT_EQ(report.judgement.verdict, Verdict::kWarmingUp);
  EXPECT_TRUE(std::isnan(report.figures.index));
  EXPECT_TRUE(std::isnan(report.figures.return_gap));
  EXPECT_TRUE(std::isnan(report.model_error_ratio));
  EXPECT_LT(report.figures.age_seconds, 0);
  EXPECT_TRUE(PageHas("tandem_coadaptation_index_ratio Nan")) << registry_.Page();
  EXPECT_TRUE(PageHas("tandem_coadaptation_verdict{verdict=\"warming_up\"} 1"));
}

TEST_F(MonitorTest, AnExactModelIsHealthy) {
  const Report report = Judged({}, /*offset=*/3, /*slope=*/0);
  EXPECT_NEAR(report.figures.index, 0, 1e-6);
  EXPECT_NEAR(report.figures.return_scale, kScale, 1e-9);
  EXPECT_EQ(report.figures.window_steps, 200);
  EXPECT_EQ(report.fresh_steps_scored, 200);
  EXPECT_EQ(report.fresh_steps_dropped, 0);
  EXPECT_EQ(report.judgement.verdict, Verdict::kHealthy) << report.judgement.sentence;
  EXPECT_TRUE(PageHas("tandem_coadaptation_verdict{verdict=\"healthy\"} 1"));
  EXPECT_TRUE(PageHas("tandem_coadaptation_verdict{verdict=\"warming_up\"} 0"));
}

TEST_F(MonitorTest, PlantedRewardOptimismRaisesTheIndexByThatAmount) {
  const Report report = Judged({.reward = 0.3});
  EXPECT_NEAR(report.figures.index, 0.3, 1e-5);
  EXPECT_NEAR(report.figures.index_reward, 0.3, 1e-5);
  EXPECT_NEAR(report.figures.index_dynamics, 0, 1e-6);
  EXPECT_NEAR(report.figures.residual, -0.3, 1e-5);  // a critic of 0 has not seen the bonus
  EXPECT_EQ(report.judgement.verdict, Verdict::kExploiting);
  EXPECT_THAT(report.judgement.sentence, HasSubstr("0.30 of the return range better"));
  EXPECT_TRUE(PageHas("tandem_coadaptation_verdict{verdict=\"exploiting\"} 1"));
}

TEST_F(MonitorTest, PlantedPessimismGivesANegativeIndex) {
  const Report report = Judged({.reward = -0.3});
  EXPECT_NEAR(report.figures.index, -0.3, 1e-5);
  EXPECT_EQ(report.judgement.verdict, Verdict::kPessimistic);
}

TEST_F(MonitorTest, PlantedDynamicsErrorCountsByWhatTheCriticMakesOfIt) {
  // Each imagined step lands 2 too far, where the critic sees .1 more each.
  const Report report = Judged({.shift = 2}, /*offset=*/0, /*slope=*/0.1);
  EXPECT_NEAR(report.figures.index_dynamics, 0.99 * 0.2, 1e-4);
  EXPECT_NEAR(report.figures.index_reward, 0, 1e-6);
}

TEST_F(MonitorTest, PlantedFalseEndsCountAsTermination) {
  const Report report = Judged({.terminates = true}, /*offset=*/0.25);
  EXPECT_NEAR(report.figures.index_termination, -0.99 * 0.25, 1e-5);
  EXPECT_EQ(report.judgement.verdict, Verdict::kPessimistic);
}

TEST_F(MonitorTest, ACriticFarFromTheModelSilencesTheIndex) {
  const Report report = Judged({.reward = 0.9});
  EXPECT_NEAR(report.figures.index, 0.9, 1e-5);
  EXPECT_EQ(report.judgement.verdict, Verdict::kWarmingUp);
  EXPECT_THAT(report.judgement.sentence, HasSubstr("does not count"));
}

TEST_F(MonitorTest, FiguresGrowStale) {
  Judged({});
  clock_.Advance(absl::Seconds(200));
  EXPECT_EQ(monitor_->GetReport().judgement.verdict, Verdict::kStale);
  EXPECT_NEAR(monitor_->GetReport().figures.age_seconds, 200, 1e-6);
  monitor_->Tick();
  EXPECT_TRUE(PageHas("tandem_coadaptation_verdict{verdict=\"stale\"} 1"));
  replay_.AddSteps(WorldSteps(10));
  Run();
  EXPECT_EQ(monitor_->GetReport().judgement.verdict, Verdict::kHealthy);
}

TEST_F(MonitorTest, EachStepIsScoredWithTheNewestModelThatHasNotSeenIt) {
  options_.window = 30;
  options_.rows_per_tick = 1000;
  Make();
  Publish(policies_, PolicyFile(0));
  Publish(models_, ModelFile(50, {.reward = 0.1}));
  replay_.AddSteps(WorldSteps(50));  // seen by every model
  Run();
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 0);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_dropped, 50);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"no_model\"} 50"));

  replay_.AddSteps(WorldSteps(30));  // 50 to 79
  ASSERT_TRUE(monitor_->ReadChunk(absl::Milliseconds(1)).ok());
  Publish(models_, ModelFile(80, {.reward = 0.2}));
  monitor_->Tick();
  EXPECT_NEAR(monitor_->GetReport().figures.index, 0.1, 1e-5);  // the older model

  replay_.AddSteps(WorldSteps(30));  // 80 to 109
  Run();
  EXPECT_NEAR(monitor_->GetReport().figures.index, 0.2, 1e-5);  // the newer one
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 60);
}

TEST_F(MonitorTest, TooManyFreshStepsDropTheOldestAndAreCounted) {
  options_.fresh_capacity = 100;
  Make();
  replay_.AddSteps(WorldSteps(30));
  ASSERT_TRUE(monitor_->ReadChunk(absl::Milliseconds(1)).ok());
  replay_.AddSteps(WorldSteps(600));
  Publish(models_, ModelFile(0));
  Publish(policies_, PolicyFile(0));
  Run();
  EXPECT_EQ(monitor_->GetReport().fresh_steps_dropped, 530);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 100);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"overflow\"} 530"));
}

TEST_F(MonitorTest, OneComputationScoresABoundedNumberOfSteps) {
  options_.rows_per_tick = 40;
  Judged({});
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 40);
  monitor_->Tick();
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 80);
}

TEST_F(MonitorTest, RandomStepsAreNotScored) {
  Make();
  Publish(models_, ModelFile(0));
  Publish(policies_, PolicyFile(0));
  replay_.AddSteps(WorldSteps(20, Split::kTrain, /*policy_version=*/0));
  Run();
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 0);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_dropped, 0);
}

TEST_F(MonitorTest, TheFirstModelsDoNotWeighOnTheFirstVerdict) {
  options_.thresholds.warmup_refits = 2;
  const Report early = Judged({.reward = 0.4});
  EXPECT_EQ(early.judgement.verdict, Verdict::kWarmingUp);
  EXPECT_NEAR(early.figures.index, 0.4, 1e-5);
  Publish(models_, ModelFile(200));
  replay_.AddSteps(WorldSteps(60));
  Run();
  const Report report = monitor_->GetReport();
  EXPECT_EQ(report.figures.window_steps, 60);
  EXPECT_NEAR(report.figures.index, 0, 1e-6);
  EXPECT_EQ(report.judgement.verdict, Verdict::kHealthy);
}

TEST_F(MonitorTest, TheErrorOnFreshStepsIsHeldAgainstThatOnHeldOutOnes) {
  Make();
  Publish(policies_, PolicyFile(0));
  TransitionBatch heldout = WorldSteps(100, Split::kHoldout);
  for (int64_t i = 0; i < heldout.size(); ++i) {  // a world that varies has a spread to measure by
    heldout.next_observations[i] += i % 2 == 0 ? 0.5f : -0.5f;
  }
  replay_.AddSteps(heldout);
  Publish(models_,
          ModelFile(100, {.noise = 0.25}));  // off by .25, by .75 on the others' rows: none
  TransitionBatch fresh = heldout;
  for (int64_t i = 0; i < fresh.size(); ++i) {
    fresh.splits[i] = static_cast<uint8_t>(Split::kTrain);
    fresh.next_observations[i] += i % 2 == 0 ? 0.25f : -0.25f;  // now off by .5
  }
  replay_.AddSteps(fresh);
  Run();
  const Report report = monitor_->GetReport();
  EXPECT_NEAR(report.model_error_ratio, 2, 1e-4);
  EXPECT_NEAR(report.model_error_fresh / report.model_error_heldout, 2, 1e-4);
  EXPECT_NEAR(report.model_error_fresh, 0.5 / 0.63, 0.03);  // in standard deviations
}

TEST_F(MonitorTest, ReturnsAreComparedFromTheStartStatesOfAnEvaluation) {
  Make();
  Publish(policies_, PolicyFile(400));
  Publish(models_, ModelFile(0, {.reward = 0.6}));
  replay_.AddSteps(WorldSteps(100));
  replay_.AddEpisode(EvaluationEpisode(1, 2, /*episode_return=*/4, /*policy_updates=*/405));
  Run();
  EXPECT_TRUE(std::isnan(monitor_->GetReport().figures.return_gap));  // one of two episodes
  replay_.AddEpisode(EvaluationEpisode(1, 2, /*episode_return=*/6, /*policy_updates=*/405));
  Run();
  const Report report = monitor_->GetReport();
  EXPECT_NEAR(report.figures.model_return, 0.6 * kEpisodeSteps, 1e-4);
  EXPECT_NEAR(report.figures.real_return, 5, 1e-9);
  EXPECT_NEAR(report.figures.return_gap, 0.25, 1e-4);
  EXPECT_EQ(report.figures.gaps_above_tolerance, 1);
  EXPECT_NEAR(report.evaluation_return, 5, 1e-9);
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"compared\"} 1"));
}

TEST_F(MonitorTest, AGapAloneIsConfirmedByRepetition) {
  Make();
  Publish(policies_, PolicyFile(0));
  Publish(models_, ModelFile(0, {.reward = 0.6}));
  replay_.AddSteps(WorldSteps(100));
  for (uint64_t evaluation = 1; evaluation <= 3; ++evaluation) {
    replay_.AddEpisode(EvaluationEpisode(evaluation, 1, 0, 0));
    Run();
    const Report report = monitor_->GetReport();
    EXPECT_EQ(report.judgement.verdict, evaluation < 3 ? Verdict::kWarning : Verdict::kExploiting)
        << report.judgement.sentence;
  }
}

TEST_F(MonitorTest, AnEvaluationOfAnotherPolicyIsNotCompared) {
  Make();
  Publish(policies_, PolicyFile(400));
  Publish(models_, ModelFile(0));
  replay_.AddSteps(WorldSteps(100));
  replay_.AddEpisode(EvaluationEpisode(1, 1, 4, /*policy_updates=*/100));
  Run();
  EXPECT_TRUE(std::isnan(monitor_->GetReport().figures.return_gap));
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"policy_gone\"} 1"));
}

TEST_F(MonitorTest, AnEvaluationWaitsForItsPolicyAndFindsAnOlderOne) {
  Make();
  Publish(policies_, PolicyFile(400));
  Publish(models_, ModelFile(0));
  replay_.AddSteps(WorldSteps(100));
  replay_.AddEpisode(EvaluationEpisode(1, 1, 4, /*policy_updates=*/900));
  Run();
  EXPECT_TRUE(std::isnan(monitor_->GetReport().figures.return_gap));
  Publish(policies_, PolicyFile(900));
  monitor_->Tick();
  EXPECT_NEAR(monitor_->GetReport().figures.return_gap, -0.04, 1e-6);
  Publish(policies_, PolicyFile(5000));
  replay_.AddEpisode(EvaluationEpisode(2, 1, 8, /*policy_updates=*/905));
  Run();
  EXPECT_NEAR(monitor_->GetReport().figures.return_gap, -0.08, 1e-6);
}

TEST_F(MonitorTest, AnEpisodeLongerThanTheBudgetIsNotCompared) {
  options_.comparison.step_budget = kEpisodeSteps - 1;
  Make();
  Publish(policies_, PolicyFile(0));
  Publish(models_, ModelFile(0));
  replay_.AddSteps(WorldSteps(100));
  replay_.AddEpisode(EvaluationEpisode(1, 1, 4, 0));
  Run();
  EXPECT_TRUE(std::isnan(monitor_->GetReport().figures.return_gap));
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"too_long\"} 1"));
}

TEST_F(MonitorTest, ASnapshotThatCannotBeLoadedIsSkipped) {
  Judged({.reward = 0.3});
  nn::TensorFile broken;
  broken.metadata = {{snapshot::kThroughIndexKey, "what"}};
  Publish(models_, broken);
  Publish(policies_, broken);
  replay_.AddSteps(WorldSteps(10));
  Run();
  const Report report = monitor_->GetReport();
  EXPECT_EQ(report.fresh_steps_scored, 210);
  EXPECT_EQ(report.model_version, 1u);
  EXPECT_TRUE(PageHas("tandem_monitor_snapshot_failures_total{series=\"model\"} 1"));
  EXPECT_TRUE(PageHas("tandem_monitor_snapshot_failures_total{series=\"policy\"} 1"));
  monitor_->Tick();
  EXPECT_TRUE(PageHas("tandem_monitor_snapshot_failures_total{series=\"model\"} 1"));
}

TEST_F(MonitorTest, AgeAndLagAreInStepsAndUpdates) {
  Make();
  Publish(policies_, PolicyFile(0));
  replay_.AddSteps(WorldSteps(40));
  Publish(models_, ModelFile(40));
  Run();
  Publish(policies_, PolicyFile(300));
  replay_.AddSteps(WorldSteps(60));
  Run();
  const Report report = monitor_->GetReport();
  EXPECT_EQ(report.env_steps, 100);
  EXPECT_EQ(report.model_age_env_steps, 60);
  EXPECT_EQ(report.policy_lag_updates, 300);  // every step was taken by version 1
  EXPECT_EQ(report.policy_version, 2u);
}

TEST_F(MonitorTest, GoesOnAfterTheReplayBufferWasGone) {
  Judged({});
  replay_.FailNext(absl::UnavailableError("gone"), 1);
  replay_.AddSteps(WorldSteps(10));
  Run();
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 210);
}

TEST_F(MonitorTest, RunsOnItsOwnThreadsAndStops) {
  options_.interval = absl::Milliseconds(5);
  Make();
  Publish(models_, ModelFile(0, {.reward = 0.3}));
  Publish(policies_, PolicyFile(0));
  monitor_->Start();
  replay_.AddSteps(WorldSteps(200));
  for (int i = 0; i < 1000 && monitor_->GetReport().fresh_steps_scored < 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(monitor_->GetReport().judgement.verdict, Verdict::kExploiting);
  monitor_->Stop();
  monitor_->Stop();
}

TEST_F(MonitorTest, BadOptionsAreRefused) {
  const MonitorDeps deps = {
      &replay_, &models_,  &policies_, testing::LoadFakeModel, testing::LoadFakePolicy,
      &clock_,  &registry_};
  options_.window = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(Monitor::Create(options_, deps).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Monitor::Create({}, {}).status()));
}

}  // namespace
}  // namespace tandem::monitor
