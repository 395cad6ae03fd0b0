#include "common/coadaptation/controller.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

using ::testing::HasSubstr;

ControllerOptions Acting() {
  ControllerOptions options;
  options.act = true;
  options.max_actions_per_hour = 1000;
  options.recover_refits = 2;
  options.horizon = 8;
  return options;
}

Judgement Exploiting() {
  Judgement judgement;
  judgement.verdict = Verdict::kExploiting;
  return judgement;
}

Judgement Clean() {
  Judgement judgement;
  judgement.verdict = Verdict::kHealthy;
  judgement.clean = true;
  return judgement;
}

Judgement Warning(bool clean = false) {
  Judgement judgement;
  judgement.verdict = Verdict::kWarning;
  judgement.clean = clean;
  return judgement;
}

Judgement Pessimistic() {
  Judgement judgement;
  judgement.verdict = Verdict::kPessimistic;
  judgement.clean = true;
  return judgement;
}

/// A controller fed a checkpoint a minute.
class Trial {
 public:
  explicit Trial(const ControllerOptions& options) : controller(options) {}

  std::vector<Action> Next(const Judgement& judgement, const Checkpoint& checkpoint = {}) {
    seconds += 60;
    return controller.Decide(checkpoint, judgement, seconds);
  }
  /// Alarms until an action comes, at most ten.
  std::optional<Action> NextAction(const Checkpoint& checkpoint = {}) {
    for (int i = 0; i < 10; ++i) {
      const std::vector<Action> actions = Next(Exploiting(), checkpoint);
      if (!actions.empty()) return actions[0];
    }
    return std::nullopt;
  }

  Controller controller;
  double seconds = 1000;
};

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
  EXPECT_EQ(actions[0].knob, Knob::kRolloutHorizon);
  EXPECT_EQ(actions[0].before, 8);
  EXPECT_EQ(actions[0].after, 4);
  EXPECT_TRUE(actions[0].against);
  EXPECT_EQ(run.controller.state(), ControllerState::kAct);
  EXPECT_EQ(run.controller.settings().at(Knob::kRolloutHorizon).value, 4);
  EXPECT_EQ(run.controller.settings().at(Knob::kRolloutHorizon).safe_value, 4);
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
  for (int i = 0; i < 8; ++i) knobs.push_back(run.NextAction()->knob);
  EXPECT_THAT(knobs, testing::ElementsAre(Knob::kRolloutHorizon, Knob::kRealShare, Knob::kRefit,
                                          Knob::kUpdatesPerStep,  // members wait for two refits
                                          Knob::kRolloutHorizon, Knob::kRealShare, Knob::kRefit,
                                          Knob::kMemberReset));
}

TEST(ControllerTest, WhatAFigureSpeaksForGoesFirst) {
  Trial run(Acting());
  Checkpoint c;
  c.visibility = 0.6;
  EXPECT_EQ(run.NextAction(c)->knob, Knob::kPessimism);
}

TEST(ControllerTest, AfterFailedActionsRealStepsAloneThenRollback) {
  Trial run(Acting());
  Checkpoint c;
  c.policy_updates = 5000;
  run.Next(Clean(), c);
  c.policy_updates = 9000;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(run.NextAction(c).has_value());
  std::optional<Action> action = run.NextAction(c);
  ASSERT_TRUE(action.has_value());
  EXPECT_EQ(action->knob, Knob::kRealShare);
  EXPECT_EQ(action->after, 1);
  action = run.NextAction(c);
  ASSERT_TRUE(action.has_value());
  EXPECT_EQ(action->knob, Knob::kRollback);
  EXPECT_EQ(action->after, 5000);
  EXPECT_THAT(action->reason, HasSubstr("human"));
  EXPECT_FALSE(run.NextAction(c).has_value());
  EXPECT_THAT(run.controller.note(), HasSubstr("human"));
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
  Trial run(Acting());
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

TEST(ControllerTest, HysteresisUncleanCheckpointsDelayTheWayBack) {
  Trial run(Acting());
  ASSERT_TRUE(run.NextAction().has_value());
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(run.Next(Clean()).empty());
    EXPECT_EQ(run.controller.state(), ControllerState::kRecover);
    EXPECT_TRUE(run.Next(Warning()).empty());  // below the alarm, not clean
  }
  EXPECT_EQ(run.controller.settings().at(Knob::kRolloutHorizon).value, 4);
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
    EXPECT_NE(action->after, 1) << "no last resort: each action worked";
    for (int k = 0; k < 30; ++k) run.Next(Clean());
  }
  EXPECT_TRUE(run.controller.settings().empty());
}

TEST(ControllerTest, PessimismOfTheModelOnlyRelaxes) {
  Trial run(Acting());
  EXPECT_TRUE(run.Next(Pessimistic()).empty());
  Checkpoint visible;
  visible.visibility = 0.6;
  ASSERT_EQ(run.NextAction(visible)->knob, Knob::kPessimism);
  run.NextAction(visible);  // a second knob
  const size_t before = run.controller.settings().size();
  bool relaxed = false;
  for (int i = 0; i < 30; ++i) {
    for (const Action& action : run.Next(Pessimistic(), visible)) {
      EXPECT_FALSE(action.against);
      relaxed = true;
    }
  }
  EXPECT_TRUE(relaxed);
  EXPECT_LT(run.controller.settings().size(), before);
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
  Trial run(Acting());
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
  EXPECT_EQ(advice[0].knob, Knob::kRolloutHorizon);
  EXPECT_TRUE(run.controller.settings().empty());
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(run.Next(Exploiting()).empty());
  EXPECT_THAT(run.controller.note(), HasSubstr("Would turn rollout_horizon 8 to 4"));
}

TEST(ControllerTest, WhatIsHeldByHandIsLeftAlone) {
  Trial run(Acting());
  run.controller.Override(Knob::kRolloutHorizon, 6, "ops: a try");
  EXPECT_EQ(run.controller.settings().at(Knob::kRolloutHorizon).value, 6);
  EXPECT_EQ(run.NextAction()->knob, Knob::kRealShare);
  for (int i = 0; i < 60; ++i) run.Next(Clean());
  EXPECT_EQ(run.controller.settings().size(), 1u);
  run.controller.Override(Knob::kRolloutHorizon, std::nullopt, "");
  EXPECT_TRUE(run.controller.settings().empty());
  EXPECT_EQ(run.NextAction()->knob, Knob::kRolloutHorizon);
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
