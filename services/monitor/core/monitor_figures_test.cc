// What the monitor makes of planted errors, episodes and evaluations.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "services/monitor/core/testing/monitor_fixture.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using testing::EvaluationEpisode;
using testing::kEpisodeSteps;
using testing::kScale;
using testing::ModelFile;
using testing::PolicyFile;
using testing::TrainingEpisode;
using testing::WorldSteps;

class MonitorFiguresTest : public testing::MonitorFixture {};

TEST_F(MonitorFiguresTest, AnExactModelHasNoGap) {
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

TEST_F(MonitorFiguresTest, PlantedRewardOptimismRaisesIndexAndGapsByThatAmount) {
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

TEST_F(MonitorFiguresTest, PlantedDynamicsErrorCountsByWhatTheCriticMakesOfIt) {
  // Each imagined step lands 2 too far, where the critic sees .1 more each.
  const Checkpoint checkpoint = Surveyed({.shift = 2}, /*offset=*/0, /*slope=*/0.1);
  EXPECT_NEAR(checkpoint.index_dynamics, 0.99 * 0.2, 1e-4);
  EXPECT_NEAR(checkpoint.index_reward, 0, 1e-6);
  // 2 further at each of 5 steps; observations 0 to 199 have a deviation of 57.7.
  EXPECT_NEAR(checkpoint.open_loop_5, 10 / 57.74, 1e-3);
  EXPECT_NEAR(checkpoint.open_loop_20, 40 / 57.74, 1e-3);
}

TEST_F(MonitorFiguresTest, PlantedFalseEndsCountAsTermination) {
  const Checkpoint checkpoint = Surveyed({.terminates = true}, /*offset=*/0.25);
  EXPECT_NEAR(checkpoint.index_termination, -0.99 * 0.25, 1e-5);
}

TEST_F(MonitorFiguresTest, AnErrorBeyondAllBoundsIsClippedAndCounted) {
  const Checkpoint checkpoint = Surveyed({.reward = 1e6});
  EXPECT_NEAR(checkpoint.index, 10 * kScale, 1e-3);
  EXPECT_EQ(checkpoint.clipped_share, 1);
  EXPECT_TRUE(PageHas("tandem_bias_clipped_total 200"));
}

TEST_F(MonitorFiguresTest, AModelThatIsNotFiniteLeavesItsFiguresUnknown) {
  const Checkpoint checkpoint = Surveyed({.reward = std::numeric_limits<double>::quiet_NaN()});
  EXPECT_EQ(checkpoint.number, 1);
  EXPECT_TRUE(std::isnan(checkpoint.index));
  EXPECT_TRUE(std::isnan(checkpoint.error_onpolicy));
  EXPECT_TRUE(std::isnan(checkpoint.gap_5)) << "and not as if it promised 0";
  EXPECT_TRUE(std::isnan(checkpoint.gap_25));
  EXPECT_TRUE(std::isnan(checkpoint.gap_100));
  EXPECT_TRUE(std::isnan(checkpoint.score));
  EXPECT_EQ(checkpoint.clipped_share, 1);
  EXPECT_EQ(checkpoint.scored_steps, 0);
  EXPECT_EQ(monitor_->GetReport().fresh_steps_scored, 0);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"nonfinite\"} 200"));
  EXPECT_TRUE(PageHas("tandem_coadaptation_index_ratio Nan"));
}

TEST_F(MonitorFiguresTest, StepsThatAreNotFiniteAreDropped) {
  Begin({});
  TransitionBatch steps = WorldSteps(100);
  steps.rewards[3] = std::numeric_limits<float>::infinity();
  AddSteps(steps);
  EXPECT_EQ(End(100).fresh_steps, 99);
  EXPECT_TRUE(PageHas("tandem_fresh_transitions_dropped_total{reason=\"nonfinite\"} 1"));
}

TEST_F(MonitorFiguresTest, TheErrorOnFreshStepsIsHeldAgainstThatOnHeldOutOnes) {
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

TEST_F(MonitorFiguresTest, TrainingEpisodesThatEndInTheCheckpointArePaired) {
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
  EXPECT_NEAR(checkpoint.gap_episode_1, 0.2, 1e-4);
  EXPECT_NEAR(checkpoint.gap_episode_2, 0.1, 1e-4);
  EXPECT_TRUE(std::isnan(checkpoint.gap_episode_3)) << "of two episodes";
  EXPECT_TRUE(std::isnan(checkpoint.gap_evaluation));
  AddSteps(WorldSteps(60));
  const Checkpoint next = End(160);
  EXPECT_EQ(next.fresh_episodes, 1);
  EXPECT_TRUE(std::isnan(next.gap_episode_1)) << "one episode has no parts";
}

TEST_F(MonitorFiguresTest, AnEvaluationIsHeldAgainstTheModelBeforeItAndNothingElse) {
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

TEST_F(MonitorFiguresTest, AnEvaluationWaitsForItsPolicyAndOneOfAnOldOneIsLeftOut) {
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

TEST_F(MonitorFiguresTest, AnEpisodeLongerThanTheBudgetIsNotCompared) {
  options_.evaluation_model_steps = kEpisodeSteps - 1;
  Begin({});
  AddSteps(WorldSteps(100));
  Episode episode = EvaluationEpisode(1, 1, 4, 0);
  episode.env_steps = 90;
  replay_.AddEpisode(episode);
  Run();
  EXPECT_TRUE(PageHas("tandem_return_comparisons_total{outcome=\"too_long\"} 1"));
}

TEST_F(MonitorFiguresTest, TheCriticIsThatOfThePolicyThatTrainedInTheModel) {
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
}  // namespace
}  // namespace tandem::monitor
