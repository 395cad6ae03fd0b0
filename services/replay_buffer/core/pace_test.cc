#include "services/replay_buffer/core/pace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "services/replay_buffer/core/testing/pace_sides.h"

namespace tandem {
namespace {

using testing::HasSubstr;
using testing_support::Actor;
using testing_support::Ask;
using testing_support::Evaluated;
using testing_support::Model;
using testing_support::Policy;

PaceOptions Small() {
  PaceOptions o;
  o.warmup_steps = 20;
  o.updates_per_step = 2;
  o.refit_interval = 25;
  o.steps_per_round = 5;
  o.evaluation_interval = 0;
  o.max_env_steps = 100;
  return o;
}

TEST(PaceLockstepTest, GoesThroughWarmupFitUpdatesAndRounds) {
  PacePolicy pace(Small());
  EXPECT_EQ(Ask(pace, Model(0)).waiting_for, "20 more environment steps");
  EXPECT_EQ(Ask(pace, Policy(0)).waiting_for, "25 more environment steps");

  PaceGrant actor = Ask(pace, Actor("a"));
  EXPECT_EQ(actor.granted, 20);
  EXPECT_TRUE(actor.random_actions);
  EXPECT_EQ(actor.policy_updates, -1);
  pace.StepsStored("a", 20);

  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "the model of 20 environment steps");
  const PaceGrant fit = Ask(pace, Model(0));
  EXPECT_EQ(fit.granted, 1);
  EXPECT_EQ(fit.through_steps, 20);
  EXPECT_EQ(Ask(pace, Model(20)).waiting_for, "5 more environment steps");

  actor = Ask(pace, Actor("a"));  // to the round's end, which is also the next refit
  EXPECT_EQ(actor.granted, 5);
  EXPECT_FALSE(actor.random_actions);
  EXPECT_EQ(actor.policy_updates, 0);
  pace.StepsStored("a", 5);

  EXPECT_EQ(Ask(pace, Policy(0)).waiting_for, "the model of 25 environment steps");
  EXPECT_EQ(Ask(pace, Model(20)).through_steps, 25);
  pace.Report(Model(25));
  const PaceGrant updates = Ask(pace, Policy(0));
  EXPECT_EQ(updates.granted, 10);
  EXPECT_EQ(updates.through_steps, 25);
  EXPECT_EQ(updates.model_steps, 25);
  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "10 more policy updates");
  EXPECT_EQ(Ask(pace, Policy(10)).waiting_for, "5 more environment steps");
  actor = Ask(pace, Actor("a"));
  EXPECT_EQ(actor.granted, 5);
  EXPECT_EQ(actor.policy_updates, 10);
}

TEST(PaceLockstepTest, GrantsWhatIsWantedAndKeepsTheRest) {
  PacePolicy pace(Small());
  EXPECT_EQ(Ask(pace, Actor("a", 8)).granted, 8);
  pace.StepsStored("a", 3);
  EXPECT_EQ(Ask(pace, Actor("a", 1000)).granted, 17) << "asking again gives the unused 5 back";
  EXPECT_EQ(Ask(pace, Actor("a", 0)).waiting_for, "a wish for at least 1 environment step");
}

TEST(PaceLockstepTest, TrainersSeeOnlySettledPoints) {
  PaceOptions o = Small();
  o.num_envs = 8;
  PacePolicy pace(o);
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 16) << "whole batches of 8, not beyond 20";
  pace.StepsStored("a", 16);
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 8) << "at least one batch";
  pace.StepsStored("a", 5);  // 21 of 24: the warm-up is over, but 3 steps are outstanding
  EXPECT_EQ(Ask(pace, Model(0)).granted, 0);
  pace.StepsStored("a", 3);
  const PaceGrant fit = Ask(pace, Model(0));
  EXPECT_EQ(fit.granted, 1);
  EXPECT_EQ(fit.through_steps, 20);
}

TEST(PaceLockstepTest, ActorWaitsForThePolicyTrainerToBeKnown) {
  PacePolicy pace(Small());
  pace.StepsStored("a", 20);
  pace.Report(Model(20));
  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "the policy trainer");
  pace.Report(Policy(700));  // it kept its updates; the buffer was restarted
  EXPECT_EQ(Ask(pace, Actor("a")).policy_updates, 700);
}

TEST(PaceLockstepTest, RestartedTrainersCatchUp) {
  PacePolicy pace(Small());
  Ask(pace, Actor("a"));
  pace.StepsStored("a", 20);
  pace.Report(Model(20));
  pace.Report(Policy(0));
  ASSERT_EQ(Ask(pace, Actor("a")).granted, 5);
  pace.StepsStored("a", 5);
  pace.Report(Model(25));
  pace.Report(Policy(10));
  ASSERT_EQ(Ask(pace, Actor("a")).granted, 5);  // it now waits for the policy with 10 updates
  EXPECT_EQ(Ask(pace, Policy(4)).granted, 6) << "though steps are outstanding";
  EXPECT_EQ(Ask(pace, Model(0)).through_steps, 25);
  EXPECT_EQ(Ask(pace, Policy(4)).waiting_for, "the model of 25 environment steps");
}

TEST(PaceLockstepTest, SeveralActorsShareARound) {
  PacePolicy pace(Small());
  EXPECT_EQ(Ask(pace, Actor("a", 12)).granted, 12);
  EXPECT_EQ(Ask(pace, Actor("b", 12)).granted, 8);
  EXPECT_EQ(Ask(pace, Actor("c", 12)).waiting_for, "environment steps of other actors");
  pace.Forget("b");
  EXPECT_EQ(pace.Grant(Actor("c", 12)).granted, 8);
}

TEST(PaceLockstepTest, EvaluationComesFirstAndFromOneActor) {
  PaceOptions o = Small();
  o.evaluation_interval = 30;
  PacePolicy pace(o);
  pace.Report(Actor("b"));
  pace.Report(Actor("a"));
  pace.StepsStored("a", 20);
  pace.Report(Model(20));
  pace.Report(Policy(0));
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 5);
  pace.StepsStored("a", 5);
  pace.Report(Model(25));
  pace.Report(Policy(10));
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 5);
  pace.StepsStored("a", 5);
  EXPECT_FALSE(Ask(pace, Actor("a")).evaluate) << "the policy of 20 updates is evaluated";
  pace.Report(Policy(20));
  EXPECT_EQ(Ask(pace, Actor("b")).waiting_for, "the evaluation at 30 environment steps by a");
  PaceGrant evaluate = Ask(pace, Actor("a"));
  EXPECT_TRUE(evaluate.evaluate);
  EXPECT_EQ(evaluate.granted, 0);
  EXPECT_EQ(evaluate.policy_updates, 20);
  pace.EvaluationEpisodeStored("a", Evaluated(30, 2, 1));
  EXPECT_TRUE(Ask(pace, Actor("a")).evaluate) << "it started anew: both episodes again";
  pace.EvaluationEpisodeStored("a", Evaluated(30, 2, 4));
  EXPECT_EQ(pace.evaluations().size(), 0u);
  pace.EvaluationEpisodeStored("a", Evaluated(30, 2, 6));
  ASSERT_EQ(pace.evaluations().size(), 1u);
  EXPECT_DOUBLE_EQ(pace.evaluations()[0].mean_return, 5);
  EXPECT_EQ(pace.evaluations()[0].env_steps, 30);
  EXPECT_EQ(Ask(pace, Actor("b")).granted, 5);
}

TEST(PaceStopTest, EndsAfterTheLastEvaluation) {
  PaceOptions o = Small();
  o.evaluation_interval = 50;
  PacePolicy pace(o);
  pace.StepsStored("a", 100);
  pace.Report(Model(100));
  pace.Report(Policy(160));
  EXPECT_FALSE(pace.stopped());
  EXPECT_TRUE(Ask(pace, Actor("a")).evaluate);
  pace.EvaluationEpisodeStored("a", Evaluated(100, 1, 3));
  EXPECT_EQ(pace.stop_reason(), "environment steps done");
  EXPECT_TRUE(Ask(pace, Actor("a")).stop);
  EXPECT_TRUE(Ask(pace, Model(100)).stop);
  EXPECT_TRUE(Ask(pace, Policy(160)).stop);
}

TEST(PaceStopTest, KeepsTheLastEvaluationsOnly) {
  PaceOptions o = Small();
  o.evaluation_interval = 30;
  PacePolicy pace(o);
  for (int64_t i = 1; i <= kMaxEvaluations + 100; ++i) {
    pace.EvaluationEpisodeStored("a", Evaluated(30 * i, 1, static_cast<double>(i)));
  }
  ASSERT_EQ(pace.evaluations().size(), static_cast<size_t>(kMaxEvaluations));
  EXPECT_DOUBLE_EQ(pace.evaluations().front().mean_return, 101);
  EXPECT_DOUBLE_EQ(pace.evaluations().back().mean_return, kMaxEvaluations + 100);
  o.evaluations_in_a_row = kMaxEvaluations + 1;
  EXPECT_THAT(std::string(Validate(o).message()), HasSubstr("stop.evaluations_in_a_row"));
}

TEST(PaceStopTest, ReachesAGoalInARow) {
  PaceOptions o = Small();
  o.evaluation_interval = 30;
  o.return_at_least = 10;
  PacePolicy pace(o);
  pace.EvaluationEpisodeStored("a", Evaluated(30, 1, 11));
  pace.EvaluationEpisodeStored("a", Evaluated(60, 1, 9));
  pace.EvaluationEpisodeStored("a", Evaluated(60, 1, 50));  // late: already evaluated
  pace.EvaluationEpisodeStored("a", Evaluated(90, 1, 12));
  EXPECT_FALSE(pace.stopped());
  pace.EvaluationEpisodeStored("a", Evaluated(120, 1, 10));
  EXPECT_THAT(pace.stop_reason(), HasSubstr("goal reached"));
}

TEST(PaceAsyncTest, BoundsTheDriftOfEachSide) {
  PaceOptions o = Small();
  o.mode = PaceMode::kAsync;
  o.band_steps = 10;
  o.max_model_lag = 40;
  o.max_policy_lag = 60;
  o.publish_interval = 10;
  PacePolicy pace(o);
  EXPECT_EQ(Ask(pace, Policy(0)).waiting_for, "the first model");
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 20);
  pace.StepsStored("a", 20);
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 11) << "no further ahead of the updates than the band";
  EXPECT_EQ(Ask(pace, Model(0)).granted, 1);
  EXPECT_EQ(Ask(pace, Model(20)).waiting_for, "25 more environment steps");
  EXPECT_EQ(Ask(pace, Policy(0)).granted, 20);
  EXPECT_THAT(Ask(pace, Policy(20)).waiting_for, HasSubstr("more environment step"));
  pace.Report(Policy(80));
  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "this actor to load a newer policy");
  PaceAsk newer = Actor("a");
  newer.held_policy_updates = 70;
  EXPECT_EQ(Ask(pace, newer).granted, 41) << "no further ahead of the model than its lag";
}

TEST(PaceAsyncTest, EvaluationHoldsUpNobody) {
  PaceOptions o = Small();
  o.mode = PaceMode::kAsync;
  o.evaluation_interval = 20;
  PacePolicy pace(o);
  pace.Report(Actor("a"));
  pace.Report(Actor("b"));
  pace.StepsStored("a", 20);
  EXPECT_FALSE(pace.Grant(Actor("b", 5)).evaluate);
  const PaceGrant a = Ask(pace, Actor("a", 5));
  EXPECT_TRUE(a.evaluate);
  EXPECT_EQ(a.granted, 5);
  EXPECT_EQ(pace.Grant(Actor("b", 5)).granted, 5);
}

}  // namespace
}  // namespace tandem
