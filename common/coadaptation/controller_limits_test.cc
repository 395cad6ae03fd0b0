// Where the controller stops: returns that are not known, refusals, clocks, too much pessimism, and
// how far it goes on warnings alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "common/coadaptation/controller.h"
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

TEST(ControllerLimitsTest, ThePolicyGoesBackAlsoWhereMostCheckpointsEndNoEpisode) {
  Checkpoint c;
  c.policy_updates = 5000;
  c.real_return = 180;
  c.return_scale = 100;
  Trial run(Acting());
  run.Next(Clean(), c);
  Checkpoint none = c;  // a clean one of which nothing is known
  none.policy_updates = 6000;
  none.real_return = Checkpoint::kNaN;
  run.Next(Clean(), none);
  c.policy_updates = 9000;
  none.policy_updates = 9500;
  for (int i = 0; i < 3; ++i) ASSERT_NE(run.NextAction(c)->knob, Knob::kRollback);
  c.real_return = 60;
  run.Next(Warning(), c);
  const std::optional<Action> action = run.NextAction(none);
  ASSERT_TRUE(action.has_value());
  EXPECT_EQ(action->knob, Knob::kRollback);
  EXPECT_EQ(action->after, 5000) << "the one whose return is known";
  EXPECT_THAT(action->reason, HasSubstr("returned 180 where it is 60 now"));
}

TEST(ControllerLimitsTest, ARefusedRollbackIsOverAndNoFaultOfTheNextAction) {
  Checkpoint c;
  c.policy_updates = 5000;
  c.real_return = 180;
  c.return_scale = 100;
  ControllerOptions options = Acting();
  options.rollback_after = 1;
  Trial run(options);
  run.Next(Clean(), c);
  ASSERT_EQ(run.NextAction(c)->knob, Knob::kRealShare);
  c.real_return = 60;
  ASSERT_EQ(run.NextAction(c)->knob, Knob::kRollback);
  ASSERT_EQ(run.NextAction(c)->knob, Knob::kRolloutHorizon);
  const int failed = run.controller.memory().failed;
  run.controller.Refused(Knob::kRollback);
  EXPECT_EQ(run.controller.settings().count(Knob::kRollback), 0u);
  EXPECT_EQ(run.controller.memory().failed, failed) << "the horizon is still on trial";
  EXPECT_EQ(run.controller.settings().count(Knob::kRolloutHorizon), 1u);
  run.controller.Override(Knob::kRollback, 7, "by hand");
  run.controller.Refused(Knob::kRollback);
  EXPECT_EQ(run.controller.settings().count(Knob::kRollback), 0u) << "also by hand";
}

TEST(ControllerLimitsTest, AClockThatARestartSetBackHoldsNothingUpForLongerThanAnHour) {
  ControllerOptions options = Acting();
  options.max_actions_per_hour = 2;
  Trial before(options);
  for (int i = 0; i < 10; ++i) before.Next(Exploiting());
  Trial run(options);
  run.controller.Restore(before.controller.memory());
  run.seconds = before.seconds - 10 * 3600;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(run.Next(Exploiting()).empty()) << "the limit holds";
  run.seconds += 3600;
  EXPECT_EQ(run.Next(Exploiting()).size(), 1u);
}

TEST(ControllerLimitsTest, PessimismOfTheRecipeIsHalvedWhereTheModelUndersells) {
  ControllerOptions options = Acting();
  options.pessimism = 1;
  Trial run(options);
  std::vector<double> values;
  for (int i = 0; i < 10; ++i) {
    for (const Action& action : run.Next(Pessimistic())) values.push_back(action.after);
  }
  EXPECT_THAT(values, testing::ElementsAre(0.5, 0.25, 0));
  EXPECT_THAT(run.controller.note(), HasSubstr("no pessimism is in force"));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(run.Next(Clean()).empty());
  EXPECT_EQ(run.controller.state(), ControllerState::kHealthy);
  EXPECT_EQ(run.controller.ValueOf(Knob::kPessimism), 0) << "and stays where the fault was gone";
  Checkpoint visible;
  visible.visibility = 0.6;
  ASSERT_EQ(run.NextAction(visible)->knob, Knob::kRealShare);
  ASSERT_EQ(run.NextAction(visible)->after, 0.5) << "until it is needed";

  options.act = false;
  Trial advised(options);
  const std::vector<Action> advice = advised.Next(Pessimistic());
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_EQ(advice[0].knob, Knob::kPessimism);
  EXPECT_EQ(advice[0].after, 0.5);
  EXPECT_TRUE(advised.controller.settings().empty());
  EXPECT_TRUE(advised.Next(Pessimistic()).empty()) << "said once";

  options.act = true;
  options.allowed = {Knob::kRealShare};
  Trial forbidden(options);
  EXPECT_TRUE(forbidden.Next(Pessimistic()).empty());
  EXPECT_THAT(forbidden.controller.note(), HasSubstr("pessimism, which is 1, is not to be turned"));
}

TEST(ControllerLimitsTest, WarningsThatGoOnAskForMoreAndMoreVariedDataUpToItsLimit) {
  Trial run(Acting());
  Checkpoint c;
  c.c2st_auc = 0.9;
  std::vector<double> values;
  std::vector<int> at;
  for (int i = 1; i <= 30; ++i) {
    for (const Action& action : run.Next(Warning(/*clean=*/i % 2 == 0), c)) {
      EXPECT_EQ(action.knob, Knob::kDataCollection);
      values.push_back(action.after);
      at.push_back(i);
    }
  }
  ASSERT_EQ(values.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(values[i], 0.02 * (i + 1), 1e-12);
  EXPECT_THAT(at, testing::ElementsAre(3, 5, 7, 9, 11)) << "with a dwell between two";
  EXPECT_EQ(run.controller.memory().action_times.size(), 5u) << "and counted";
  EXPECT_EQ(run.controller.state(), ControllerState::kWarn);
  for (int i = 0; i < 30; ++i) run.Next(Clean(), c);
  EXPECT_TRUE(run.controller.settings().empty());
  EXPECT_EQ(run.controller.state(), ControllerState::kHealthy);

  ControllerOptions options = Acting();
  options.max_actions_per_hour = 1;
  Trial limited(options);
  for (int i = 0; i < 20; ++i) limited.Next(Warning(), c);
  EXPECT_EQ(limited.controller.ValueOf(Knob::kDataCollection), 0.02);
  EXPECT_THAT(limited.controller.note(), HasSubstr("limit"));
}

TEST(ControllerLimitsTest, DataIsNotAskedForLessWhileTheReasonForItHolds) {
  Trial run(Acting());
  Checkpoint c;
  c.c2st_auc = 0.9;
  for (int i = 0; i < 30; ++i) {
    for (const Action& action : run.Next(Warning(/*clean=*/true), c)) EXPECT_TRUE(action.against);
  }
  EXPECT_NEAR(run.controller.ValueOf(Knob::kDataCollection), 0.1, 1e-12);
  c.c2st_auc = 0.6;
  for (int i = 0; i < 30; ++i) run.Next(Warning(/*clean=*/true), c);
  EXPECT_TRUE(run.controller.settings().empty());
}

}  // namespace
}  // namespace tandem::coadaptation
