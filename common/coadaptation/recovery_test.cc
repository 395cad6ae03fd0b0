#include "common/coadaptation/recovery.h"

#include <cmath>
#include <optional>
#include <vector>

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

constexpr double kScale = 1000;

Checkpoint Returning(double real_return) {
  Checkpoint c;
  c.real_return = real_return;
  c.return_scale = kScale;
  return c;
}

/// Real rows alone since an alarm, then clean checkpoints that return 0, until so many steps back.
Trial OnTheWayBack(int steps, const ControllerOptions& options = Acting()) {
  Trial run(options);
  run.Next(Exploiting(), Returning(-500));
  for (int seen = 0; seen < steps;) seen += run.Next(Clean(), Returning(0)).empty() ? 0 : 1;
  return run;
}

/// The first action within so many checkpoints of this return.
std::optional<Action> Within(Trial& run, int checkpoints, double real_return,
                             const Judgement& judgement = Clean()) {
  for (int i = 0; i < checkpoints; ++i) {
    const std::vector<Action> actions = run.Next(judgement, Returning(real_return));
    if (!actions.empty()) return actions[0];
  }
  return std::nullopt;
}

TEST(RecoveryTest, AReturnThatFallsOnTheWayBackTakesTheKnobToWhereItWas) {
  Trial run = OnTheWayBack(3);
  ASSERT_NEAR(run.controller.ValueOf(Knob::kRealShare), 0.7, 1e-12);
  const std::optional<Action> action = Within(run, 1, -300);
  ASSERT_TRUE(action.has_value()) << "0.3 of the scale at once";
  EXPECT_EQ(action->knob, Knob::kRealShare);
  EXPECT_NEAR(action->before, 0.7, 1e-12);
  EXPECT_EQ(action->after, 1);
  EXPECT_TRUE(action->against);
  EXPECT_THAT(action->reason, HasSubstr("the real return, which was 0 before it went back, is "
                                        "-300"));
  EXPECT_EQ(run.controller.ValueOf(Knob::kRealShare), 1);
  EXPECT_EQ(run.controller.state(), ControllerState::kRecover);
}

TEST(RecoveryTest, WhereMuchIsLostThePolicyGoesBackToo) {
  Trial run(Acting());
  const auto next = [&](const Judgement& judgement, double real_return, double updates) {
    Checkpoint c = Returning(real_return);
    c.policy_updates = updates;
    return run.Next(judgement, c);
  };
  next(Exploiting(), -500, 1000);
  next(Clean(), 0, 2000);
  ASSERT_EQ(next(Clean(), 0, 3000).size(), 1u) << "a step back";
  next(Clean(), -100, 4000);
  ASSERT_EQ(next(Clean(), -10, 5000).size(), 1u) << "another, after less";
  Trial mild = run;
  Trial alarmed = run;
  EXPECT_EQ(alarmed.Next(Exploiting(), Returning(-400)).back().after, 5000)
      << "by an alarm as well";
  const std::vector<Action> actions = next(Clean(), -400, 6000);
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_EQ(actions[0].knob, Knob::kRealShare);
  EXPECT_EQ(actions[1].knob, Knob::kRollback);
  EXPECT_EQ(actions[1].after, 5000) << "from before the newest step, which is still kept";
  EXPECT_THAT(actions[1].reason, HasSubstr("the way back: to the policy from before it, of 5000 "
                                           "updates, which returned -55 where it is -400 now"));
  EXPECT_TRUE(mild.Next(Clean(), Returning(-150)).empty());
  EXPECT_EQ(mild.Next(Clean(), Returning(-200)).size(), 1u) << "not a quarter of the scale";
}

TEST(RecoveryTest, SmallLossesAddUpAndTheSlackIsNone) {
  Trial run = OnTheWayBack(1);
  int checkpoints = 0;
  while (run.controller.ValueOf(Knob::kRealShare) < 1 && checkpoints < 20) {
    run.Next(Warning(), Returning(-120));  // 0.07 beyond the slack each; no step back meanwhile
    ++checkpoints;
  }
  EXPECT_EQ(checkpoints, 3);
  Trial noisy = OnTheWayBack(1);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(noisy.Next(Warning(), Returning(i % 2 == 0 ? -150 : 60)).empty()) << i;
  }
}

TEST(RecoveryTest, EachRelapseDoublesTheWait) {
  Trial run = OnTheWayBack(1);
  std::vector<int> waited;
  for (int relapse = 0; relapse < 3; ++relapse) {
    ASSERT_TRUE(Within(run, 1, -300).has_value());
    int clean = 0;
    while (run.Next(Clean(), Returning(0)).empty()) ++clean;
    waited.push_back(clean + 1);
  }
  EXPECT_THAT(waited, testing::ElementsAre(4, 8, 16)) << "two before any";
  run.Next(Exploiting(), Returning(0));  // an alarm on the way back is one, too
  EXPECT_EQ(run.controller.memory().recovery.relapses, 4);
  EXPECT_EQ(run.controller.memory().recovery.Wait(2), 32);
  while (run.controller.state() != ControllerState::kHealthy) run.Next(Clean(), Returning(0));
  EXPECT_EQ(run.controller.memory().recovery.Wait(2), 2) << "healthy: forgotten";
}

TEST(RecoveryTest, TheReferenceIsTheBestBeforeAStepBack) {
  Trial run = OnTheWayBack(1);
  ASSERT_TRUE(Within(run, 2, 200).has_value());
  EXPECT_EQ(run.controller.memory().recovery.reference, 200);
  ASSERT_FALSE(Within(run, 2, 100)->against) << "a step back";
  EXPECT_EQ(run.controller.memory().recovery.reference, 200) << "not the last";
}

TEST(RecoveryTest, WhileNothingWentBackALossIsNotWatched) {
  Trial tight(Acting());
  tight.Next(Exploiting(), Returning(0));
  tight.Next(Clean(), Returning(0));
  EXPECT_FALSE(Within(tight, 10, -900, Warning()).has_value());

  Trial healthy(Acting());
  for (int i = 0; i < 10; ++i) healthy.Next(Clean(), Returning(0));
  EXPECT_FALSE(Within(healthy, 10, -900).has_value());
}

TEST(RecoveryTest, VariedDataThatNoAlarmAskedForIsNotWatched) {
  Trial run(Acting());
  Checkpoint drifting = Returning(0);
  drifting.c2st_auc = 0.9;
  while (run.controller.settings().empty()) run.Next(Warning(), drifting);
  while (!run.controller.settings().empty()) run.Next(Clean(), Returning(0));
  EXPECT_FALSE(run.controller.memory().recovery.eased.has_value());
}

TEST(RecoveryTest, UnknownReturnsTellNothing) {
  Trial run = OnTheWayBack(1);
  Checkpoint no_scale = Returning(-900);
  no_scale.return_scale = Checkpoint::kNaN;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(run.Next(Warning(), no_scale).empty());
    EXPECT_TRUE(run.Next(Warning()).empty());
  }
  EXPECT_EQ(run.controller.memory().recovery.lost, 0);
}

TEST(RecoveryTest, AModelThatUndersellsThePolicyOnlyRelaxes) {
  Trial run = OnTheWayBack(1);
  EXPECT_FALSE(Within(run, 5, -900, Pessimistic()).has_value());
}

TEST(RecoveryTest, AKnobTakenOverByHandOrRefusedIsLeftAlone) {
  Trial held = OnTheWayBack(2);
  held.controller.Override(Knob::kRealShare, 0.3, "ops: a try");
  EXPECT_FALSE(Within(held, 10, -900, Warning()).has_value());
  Trial refused = OnTheWayBack(2);
  refused.controller.Refused(Knob::kRealShare);
  EXPECT_FALSE(Within(refused, 10, -900, Warning()).has_value());
}

TEST(RecoveryTest, WhatIsAdvisedOnlyIsNotTurnedBackEither) {
  Trial acting = OnTheWayBack(3);
  ControllerOptions options = Acting();
  options.act = false;
  Controller advising(options);
  advising.Restore(acting.controller.memory());
  EXPECT_TRUE(advising.Decide(Returning(-300), Clean(), 0).empty()) << "a restart in another mode";
}

TEST(RecoveryTest, WhatWasLostIsForgottenWithTheKnob) {
  Recovery recovery;
  const MitigationOptions options;
  recovery.Take(Returning(0), 1, options);
  recovery.Tightened(Knob::kRealShare, 1);
  recovery.Tightened(Knob::kPessimism, 1);
  recovery.Eased(Knob::kRealShare, 100);
  recovery.Take(Returning(-900), 1, options);
  ASSERT_TRUE(recovery.Relapsed(options));
  recovery.Forget(Knob::kRealShare);
  recovery.Eased(Knob::kPessimism, 200);
  EXPECT_FALSE(recovery.Relapsed(options)) << "that is another way back";
  EXPECT_EQ(recovery.reference, -900);
  recovery.Forget(Knob::kPessimism);
  EXPECT_TRUE(std::isnan(recovery.updates));
}

TEST(RecoveryTest, TheHourlyLimitHolds) {
  ControllerOptions options = Acting();
  options.max_actions_per_hour = 1;
  Trial run = OnTheWayBack(1, options);
  EXPECT_FALSE(Within(run, 10, -900, Warning()).has_value());
  EXPECT_THAT(run.controller.note(), HasSubstr("limit"));
  run.seconds += 3600;
  EXPECT_TRUE(Within(run, 1, -900, Warning()).has_value());
}

TEST(RealStepsAloneTest, FewUpdatesAreRaisedToOneAStepAndGoBackFirst) {
  ControllerOptions options = Acting();
  options.updates_per_step = 0.25;
  Trial run(options);
  const std::vector<Action> actions = run.Next(Exploiting(), Returning(0));
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_EQ(actions[0].knob, Knob::kRealShare);
  EXPECT_EQ(actions[1].knob, Knob::kUpdatesPerStep);
  EXPECT_EQ(actions[1].before, 0.25);
  EXPECT_EQ(actions[1].after, 1);
  EXPECT_TRUE(actions[1].against);
  EXPECT_THAT(run.controller.note(), HasSubstr("Turned updates_per_step 0.25 to 1"));
  EXPECT_EQ(run.controller.memory().action_times.size(), 1u) << "one decision";

  const std::optional<Action> back = Within(run, 2, 0);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->knob, Knob::kUpdatesPerStep);
  EXPECT_EQ(back->after, 0.25);
  EXPECT_EQ(run.controller.ValueOf(Knob::kRealShare), 1);
  Trial costly = run;
  EXPECT_EQ(Within(run, 2, 0)->knob, Knob::kRealShare);

  const std::optional<Action> again = Within(costly, 1, -300);
  ASSERT_TRUE(again.has_value()) << "without them the return fell";
  EXPECT_EQ(again->knob, Knob::kUpdatesPerStep);
  EXPECT_EQ(costly.controller.ValueOf(Knob::kUpdatesPerStep), 1);
}

TEST(RealStepsAloneTest, ARelapseRaisesThemAgain) {
  ControllerOptions options = Acting();
  options.updates_per_step = 0.25;
  Trial run = OnTheWayBack(3, options);
  ASSERT_LT(run.controller.ValueOf(Knob::kRealShare), 1);
  ASSERT_EQ(run.controller.ValueOf(Knob::kUpdatesPerStep), 0.25);
  ASSERT_EQ(run.Next(Clean(), Returning(-300)).size(), 2u);
  EXPECT_EQ(run.controller.ValueOf(Knob::kRealShare), 1);
  EXPECT_EQ(run.controller.ValueOf(Knob::kUpdatesPerStep), 1);
}

TEST(RealStepsAloneTest, AsManyOrMoreStayAndSoDoThoseThatAreNotToBeTurned) {
  ControllerOptions options = Acting();
  options.updates_per_step = 1;
  EXPECT_EQ(Trial(options).Next(Exploiting()).size(), 1u);
  options.updates_per_step = 0.25;
  options.allowed = {Knob::kRealShare};
  EXPECT_EQ(Trial(options).Next(Exploiting()).size(), 1u);
}

}  // namespace
}  // namespace tandem::coadaptation
