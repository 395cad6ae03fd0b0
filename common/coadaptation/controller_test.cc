#include "common/coadaptation/controller.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/coadaptation/testing/controller_trial.h"

namespace tandem::coadaptation {
namespace {

using ::testing::HasSubstr;
using testing_support::Acting;
using testing_support::Clean;
using testing_support::Exploiting;
using testing_support::Pessimistic;
using testing_support::Trial;
using testing_support::Warning;

TEST(ControllerTest, HealthyDoesNothing) {
  Trial run(Acting());
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(run.Next(Clean()).empty());
  EXPECT_EQ(run.controller.state(), ControllerState::kHealthy);
  EXPECT_TRUE(run.controller.settings().empty());
}

TEST(ControllerTest, AnAlarmTurnsOneKnobThenCoolsDown) {
  Trial run(Acting());
  const std::vector<Action> actions = run.Next(Exploiting());
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].knob, Knob::kRealShare);
  EXPECT_EQ(actions[0].before, 0.05);
  EXPECT_EQ(actions[0].after, 1);
  EXPECT_TRUE(actions[0].against);
  EXPECT_EQ(run.controller.state(), ControllerState::kAct);
  EXPECT_EQ(run.controller.settings().at(Knob::kRealShare).value, 1);
  EXPECT_EQ(run.controller.settings().at(Knob::kRealShare).safe_value, 1);
  EXPECT_TRUE(run.Next(Exploiting()).empty());
  EXPECT_EQ(run.controller.state(), ControllerState::kCooldown);
  EXPECT_EQ(run.Next(Exploiting()).size(), 1u);
}

TEST(ControllerTest, TheDwellIsKept) {
  ControllerOptions options = Acting();
  options.dwell_refits = 3;
  Trial run(options);
  ASSERT_EQ(run.Next(Exploiting()).size(), 1u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(run.Next(Exploiting()).empty());
  EXPECT_EQ(run.Next(Exploiting()).size(), 1u);
}

TEST(ControllerTest, EscalatesThroughWhatWasNotTried) {
  ControllerOptions options = Acting();
  options.rollback_after = 100;
  Trial run(options);
  std::vector<Knob> knobs;
  for (int i = 0; i < 6; ++i) knobs.push_back(run.NextAction()->knob);
  EXPECT_THAT(knobs, testing::ElementsAre(Knob::kRealShare, Knob::kRolloutHorizon, Knob::kRefit,
                                          Knob::kRolloutHorizon,  // members wait for two refits
                                          Knob::kRefit, Knob::kMemberReset));
}

TEST(ControllerTest, AfterTheRealShareComesWhatAFigureSpeaksFor) {
  Trial run(Acting());
  Checkpoint c;
  c.visibility = 0.6;
  EXPECT_EQ(run.NextAction(c)->knob, Knob::kRealShare);
  EXPECT_EQ(run.NextAction(c)->knob, Knob::kPessimism);
}

TEST(ControllerTest, AfterFailedActionsThePolicyGoesBackWhereItWasBetter) {
  Checkpoint c;
  c.policy_updates = 5000;
  c.real_return = 180;
  c.return_scale = 100;
  Trial run(Acting());
  run.Next(Clean(), c);
  Trial sudden = run;
  c.policy_updates = 9000;
  for (int i = 0; i < 3; ++i) ASSERT_NE(run.NextAction(c)->knob, Knob::kRollback);
  c.real_return = 60;
  Trial mild = run;
  const std::optional<Action> action = run.NextAction(c);
  ASSERT_TRUE(action.has_value());
  EXPECT_EQ(action->knob, Knob::kRollback);
  EXPECT_EQ(action->after, 5000);
  EXPECT_THAT(action->reason, HasSubstr("returned 180 where it is 60 now; a human"));
  EXPECT_NE(run.NextAction(c)->knob, Knob::kRollback) << "once";
  const std::vector<Action> first = sudden.Next(Exploiting(), c);
  ASSERT_EQ(first.size(), 2u) << "what was lost at once comes back with the first action";
  EXPECT_EQ(first[0].knob, Knob::kRealShare);
  EXPECT_EQ(first[1].after, 5000);
  EXPECT_THAT(sudden.controller.note(), HasSubstr("much is lost already"));
  c.real_return = 160;  // not a quarter of the scale lost
  EXPECT_NE(mild.NextAction(c)->knob, Knob::kRollback);
}

TEST(ControllerTest, ANewAlarmTakesTheImaginedStepsAwayAgain) {
  Trial run(Acting());
  ASSERT_EQ(run.NextAction()->knob, Knob::kRealShare);
  ASSERT_EQ(run.NextAction()->knob, Knob::kRolloutHorizon);
  for (int i = 0; i < 14; ++i) run.Next(Clean());
  ASSERT_LT(run.controller.ValueOf(Knob::kRealShare), 1);
  EXPECT_EQ(run.NextAction()->knob, Knob::kRealShare);
  EXPECT_EQ(run.controller.ValueOf(Knob::kRealShare), 1);
}

TEST(ControllerTest, WhereEveryKnobIsAtItsLimitAHumanHasToLook) {
  ControllerOptions options = Acting();
  options.allowed = {Knob::kRealShare};
  Trial run(options);
  ASSERT_TRUE(run.NextAction().has_value());
  EXPECT_FALSE(run.NextAction().has_value());
  EXPECT_THAT(run.controller.note(), HasSubstr("human"));
}

TEST(ControllerTest, AModelThatMissedItsFitIsFittedFirstButOnce) {
  Trial run(Acting());
  Checkpoint c;
  c.fresh_steps = 400;
  c.model_age = 2000;
  EXPECT_EQ(run.NextAction(c)->knob, Knob::kRefit);
  EXPECT_EQ(run.NextAction(c)->knob, Knob::kRealShare);
}

TEST(ControllerTest, WithoutACleanPolicyThereIsNothingToRollBackTo) {
  ControllerOptions options = Acting();
  options.allowed = {Knob::kRollback};
  Trial run(options);
  EXPECT_FALSE(run.NextAction().has_value());
}

TEST(ControllerTest, NeverMoreThanTheHourlyLimit) {
  ControllerOptions options = Acting();
  options.max_actions_per_hour = 2;
  Trial run(options);
  int actions = 0;
  for (int i = 0; i < 50; ++i) actions += static_cast<int>(run.Next(Exploiting()).size());
  EXPECT_EQ(actions, 2);
  EXPECT_THAT(run.controller.note(), HasSubstr("limit"));
  run.seconds += 3600;
  EXPECT_EQ(run.Next(Exploiting()).size(), 1u);
}

TEST(ControllerTest, GoesBackToTheRecipeWhenClean) {
  ControllerOptions options = Acting();
  options.allowed = {Knob::kRolloutHorizon};
  Trial run(options);
  ASSERT_TRUE(run.NextAction().has_value());  // horizon 8 to 4
  std::vector<double> values;
  for (int i = 0; i < 20; ++i) {
    for (const Action& action : run.Next(Clean())) {
      EXPECT_FALSE(action.against);
      values.push_back(action.after);
    }
  }
  EXPECT_THAT(values, testing::ElementsAre(5, 6, 7, 8));
  EXPECT_TRUE(run.controller.settings().empty());
  EXPECT_EQ(run.controller.state(), ControllerState::kHealthy);
}

TEST(ControllerTest, ImaginedStepsComeBackALittleAtATime) {
  Trial run(Acting());
  ASSERT_EQ(run.NextAction()->knob, Knob::kRealShare);
  std::vector<double> values;
  for (int i = 0; i < 30; ++i) {
    for (const Action& action : run.Next(Clean())) values.push_back(action.after);
  }
  ASSERT_EQ(values.size(), 10u);
  EXPECT_NEAR(values[0], 0.9, 1e-12);
  EXPECT_NEAR(values[8], 0.1, 1e-12);
  EXPECT_EQ(values[9], 0.05) << "the recipe's";
}

TEST(ControllerTest, HysteresisUncleanCheckpointsDelayTheWayBack) {
  Trial run(Acting());
  ASSERT_TRUE(run.NextAction().has_value());
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(run.Next(Clean()).empty());
    EXPECT_EQ(run.controller.state(), ControllerState::kRecover);
    EXPECT_TRUE(run.Next(Warning()).empty());  // below the alarm, not clean
  }
  EXPECT_EQ(run.controller.settings().at(Knob::kRealShare).value, 1);
}

TEST(ControllerTest, ADriftThatDoesNoHarmDoesNotHoldUpTheWayBack) {
  Trial run(Acting());
  ASSERT_TRUE(run.NextAction().has_value());
  run.Next(Warning(true));
  EXPECT_EQ(run.Next(Warning(true)).size(), 1u);
}

TEST(ControllerTest, ACleanSpellMeansThatTheActionWorked) {
  Trial run(Acting());
  for (int i = 0; i < 6; ++i) {
    const std::optional<Action> action = run.NextAction();
    ASSERT_TRUE(action.has_value());
    EXPECT_EQ(action->knob, Knob::kRealShare) << "each action worked";
    for (int k = 0; k < 30; ++k) run.Next(Clean());
  }
  EXPECT_TRUE(run.controller.settings().empty());
}

TEST(ControllerTest, PessimismOfTheModelOnlyRelaxes) {
  Trial run(Acting());
  EXPECT_TRUE(run.Next(Pessimistic()).empty());
  Checkpoint visible;
  visible.visibility = 0.6;
  ASSERT_EQ(run.NextAction(visible)->knob, Knob::kRealShare);
  ASSERT_EQ(run.NextAction(visible)->knob, Knob::kPessimism);
  std::vector<Action> relaxed;
  for (int i = 0; i < 30; ++i) {
    for (const Action& action : run.Next(Pessimistic(), visible)) relaxed.push_back(action);
  }
  ASSERT_EQ(relaxed.size(), 2u);  // from 0.5 to 0.25 and the recipe's 0
  for (const Action& action : relaxed) {
    EXPECT_EQ(action.knob, Knob::kPessimism);
    EXPECT_FALSE(action.against);
  }
  EXPECT_EQ(run.controller.ValueOf(Knob::kRealShare), 1) << "a model that is wrong is left alone";
}

TEST(ControllerTest, AWarningThatStaysAsksForVariedData) {
  Trial run(Acting());
  Checkpoint c;
  c.c2st_auc = 0.9;
  EXPECT_TRUE(run.Next(Warning(), c).empty());
  EXPECT_EQ(run.controller.state(), ControllerState::kWarn);
  EXPECT_TRUE(run.Next(Warning(), c).empty());
  const std::vector<Action> actions = run.Next(Warning(), c);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].knob, Knob::kDataCollection);
  EXPECT_EQ(run.controller.settings().at(Knob::kDataCollection).safe_value, 0);
}

TEST(ControllerTest, APauseEndsByItself) {
  ControllerOptions options = Acting();
  options.allowed = {Knob::kPolicyPause};
  Trial run(options);
  Checkpoint c;
  c.policy_shift = 2;
  ASSERT_EQ(run.NextAction(c)->knob, Knob::kPolicyPause);
  std::vector<Action> actions;
  int waited = 0;
  while (actions.empty() && waited < 10) {
    actions = run.Next(Exploiting(), c);
    ++waited;
  }
  EXPECT_EQ(waited, options.mitigation.pause_most);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].after, 0);
}

TEST(ControllerTest, AClampStaysWhileImaginedRewardsAreBeyondReal) {
  ControllerOptions options = Acting();
  options.allowed = {Knob::kRewardClamp};
  Trial run(options);
  Checkpoint c;
  c.index = 0.5;
  c.index_reward = 0.5;
  c.reward_range = 3;
  ASSERT_EQ(run.NextAction(c)->knob, Knob::kRewardClamp);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(run.Next(Clean(), c).empty());
  c.reward_range = 1.1;
  for (int i = 0; i < 2; ++i) run.Next(Clean(), c);
  EXPECT_TRUE(run.controller.settings().empty());
}

TEST(ControllerTest, WithoutFiguresItWaits) {
  Trial run(Acting());
  Judgement unknown;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(run.Next(unknown).empty());
  EXPECT_EQ(run.controller.state(), ControllerState::kHealthy);
}

TEST(ControllerTest, AdviceChangesNothingAndIsNotRepeated) {
  ControllerOptions options = Acting();
  options.act = false;
  Trial run(options);
  const std::vector<Action> advice = run.Next(Exploiting());
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_EQ(advice[0].knob, Knob::kRealShare);
  EXPECT_TRUE(run.controller.settings().empty());
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(run.Next(Exploiting()).empty());
  EXPECT_THAT(run.controller.note(), HasSubstr("Would turn real_share 0.05 to 1"));
}

TEST(ControllerTest, WhatIsHeldByHandIsLeftAlone) {
  Trial run(Acting());
  run.controller.Override(Knob::kRealShare, 0.6, "ops: a try");
  EXPECT_EQ(run.controller.settings().at(Knob::kRealShare).value, 0.6);
  EXPECT_EQ(run.NextAction()->knob, Knob::kRolloutHorizon);
  for (int i = 0; i < 60; ++i) run.Next(Clean());
  EXPECT_EQ(run.controller.settings().size(), 1u);
  run.controller.Override(Knob::kRealShare, std::nullopt, "");
  EXPECT_TRUE(run.controller.settings().empty());
  EXPECT_EQ(run.NextAction()->knob, Knob::kRealShare);
}

TEST(ControllerTest, WhatIsNotAllowedOrWasRefusedIsNotTurned) {
  ControllerOptions options = Acting();
  options.allowed = {Knob::kRolloutHorizon, Knob::kRefit};
  Trial run(options);
  EXPECT_EQ(run.NextAction()->knob, Knob::kRolloutHorizon);
  run.controller.Refused(Knob::kRolloutHorizon);
  EXPECT_TRUE(run.controller.settings().empty());
  EXPECT_EQ(run.controller.memory().failed, 1);
  EXPECT_EQ(run.NextAction()->knob, Knob::kRefit);
  EXPECT_EQ(run.NextAction()->knob, Knob::kRefit);
  EXPECT_FALSE(run.NextAction().has_value());
  for (int i = 0; i < 10; ++i) run.Next(Clean());  // healthy: may be tried again
  EXPECT_EQ(run.NextAction()->knob, Knob::kRolloutHorizon);
}

TEST(ControllerTest, CountsOnlyGrow) {
  ControllerOptions options = Acting();
  options.allowed = {Knob::kRefit};
  Trial run(options);
  EXPECT_EQ(run.NextAction()->after, 1);
  for (int i = 0; i < 10; ++i) run.Next(Clean());
  EXPECT_EQ(run.controller.state(), ControllerState::kHealthy);
  EXPECT_EQ(run.NextAction()->after, 2);
}

TEST(ControllerTest, TheSameCourseGivesTheSameActionsAlsoFromMemory) {
  Trial one(Acting());
  Trial other(Acting());
  const auto judgement = [](int i) {
    return i % 7 < 4 ? Exploiting() : i % 7 == 4 ? Warning() : Clean();
  };
  for (int i = 0; i < 200; ++i) {
    if (i % 20 == 0) {  // a restart of the other
      Trial again(Acting());
      again.controller.Restore(other.controller.memory());
      again.seconds = other.seconds;
      other = again;
    }
    Checkpoint c;
    c.visibility = 0.01 * i;
    c.policy_updates = 100 * i;
    const std::vector<Action> a = one.Next(judgement(i), c);
    const std::vector<Action> b = other.Next(judgement(i), c);
    ASSERT_EQ(a.size(), b.size()) << i;
    for (size_t k = 0; k < a.size(); ++k) {
      EXPECT_EQ(a[k].knob, b[k].knob);
      EXPECT_EQ(a[k].after, b[k].after);
      EXPECT_EQ(a[k].reason, b[k].reason);
    }
    EXPECT_EQ(one.controller.state(), other.controller.state());
  }
}

}  // namespace
}  // namespace tandem::coadaptation
