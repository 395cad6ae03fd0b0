// The monitor as a side of the pace: present, absent, dying, coming back; the rate that it sets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "services/replay_buffer/core/pace.h"
#include "services/replay_buffer/core/pace_desk.h"
#include "services/replay_buffer/core/testing/pace_sides.h"

namespace tandem {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing_support::Actor;
using testing_support::Ask;
using testing_support::Model;
using testing_support::Policy;

PaceOptions Small(PaceMode mode = PaceMode::kLockstep) {
  PaceOptions o;
  o.mode = mode;
  o.warmup_steps = 20;
  o.updates_per_step = 2;
  o.refit_interval = 25;
  o.steps_per_round = 5;
  o.band_steps = 10;
  o.evaluation_interval = 0;
  o.max_env_steps = 200;
  o.monitor_in_lockstep = true;
  return o;
}

/// rate: 0 is a pause.
PaceAsk Monitor(int64_t judged, int64_t version = 0, double rate = -1) {
  return {.role = Role::kMonitor,
          .member = "w",
          .judged_steps = judged,
          .directive_version = version,
          .updates_per_step = rate,
          .policy_pause = rate == 0};
}

/// Takes the steps that are granted and reports the updates that are, until neither comes.
void RunUntilStuck(PacePolicy& pace, int64_t model) {
  for (bool moved = true; moved;) {
    moved = false;
    pace.Report(Model(model));
    if (const PaceGrant g = Ask(pace, Policy(pace.policy_updates())); g.granted > 0) {
      pace.Report(Policy(pace.policy_updates() + g.granted));
      moved = true;
    }
    if (const PaceGrant g = Ask(pace, Actor()); g.granted > 0) {
      pace.StepsStored("a", g.granted);
      moved = true;
    }
  }
}

TEST(PaceMonitorTest, AFitWaitsUntilTheStepsBeforeItAreJudged) {
  PacePolicy pace(Small());
  EXPECT_EQ(Ask(pace, Monitor(0)).waiting_for, "25 more environment steps");
  RunUntilStuck(pace, 0);
  EXPECT_EQ(Ask(pace, Model(0)).granted, 1) << "the first fit follows no judgement";
  RunUntilStuck(pace, 20);
  ASSERT_EQ(pace.env_steps(), 25);
  EXPECT_EQ(Ask(pace, Model(20)).waiting_for, "the monitor's judgement of 25 environment steps");
  EXPECT_EQ(Ask(pace, Policy(0)).granted, 0);
  EXPECT_EQ(Ask(pace, Actor()).granted, 0);

  const PaceGrant judge = Ask(pace, Monitor(0));
  EXPECT_EQ(judge.granted, 1);
  EXPECT_EQ(judge.through_steps, 25);
  EXPECT_EQ(judge.model_steps, 20) << "the model that has not seen the steps";
  EXPECT_EQ(judge.policy_updates, 0);
  EXPECT_EQ(judge.directive_version, 0);

  EXPECT_EQ(Ask(pace, Monitor(25, 1234)).waiting_for, "25 more environment steps");
  const PaceGrant fit = Ask(pace, Model(20));
  EXPECT_EQ(fit.granted, 1);
  EXPECT_EQ(fit.directive_version, 1234);
  pace.Report(Model(25));
  const PaceGrant updates = Ask(pace, Policy(0));
  EXPECT_EQ(updates.granted, 10);
  EXPECT_EQ(updates.directive_version, 1234);
  pace.Report(Policy(10));
  EXPECT_EQ(Ask(pace, Actor()).directive_version, 1234);
}

TEST(PaceMonitorTest, OneThatIsGoneHoldsNobodyUpAndIsWaitedForAgainOnceItIsBack) {
  PacePolicy pace(Small());
  RunUntilStuck(pace, 0);
  RunUntilStuck(pace, 20);
  pace.Report(Monitor(0, 7));
  ASSERT_EQ(Ask(pace, Model(20)).granted, 0);
  pace.SetMonitorThere(false);
  const PaceGrant fit = Ask(pace, Model(20));
  EXPECT_EQ(fit.granted, 1);
  EXPECT_EQ(fit.directive_version, 0) << "nobody waits for directives of one that is gone";
  RunUntilStuck(pace, 25);
  ASSERT_EQ(pace.env_steps(), 50);
  pace.SetMonitorThere(true);
  EXPECT_EQ(Ask(pace, Model(25)).granted, 0);
  EXPECT_EQ(Ask(pace, Monitor(0, 8)).through_steps, 50) << "what it missed is judged with the rest";
  pace.Report(Monitor(50, 8));
  EXPECT_EQ(Ask(pace, Model(25)).granted, 1);
}

TEST(PaceMonitorTest, OneThatComesAfterTheFitIsNotAskedToJudgeWhatTheModelHasSeen) {
  PacePolicy pace(Small());
  RunUntilStuck(pace, 0);
  pace.SetMonitorThere(false);
  RunUntilStuck(pace, 20);
  RunUntilStuck(pace, 25);
  ASSERT_EQ(pace.env_steps(), 50);
  pace.Report(Model(50));
  pace.SetMonitorThere(true);
  EXPECT_EQ(Ask(pace, Monitor(0)).granted, 0);
}

TEST(PaceMonitorTest, WithoutPacingItReportsAndNothingWaits) {
  for (const PaceMode mode : {PaceMode::kLockstep, PaceMode::kAsync}) {
    PaceOptions o = Small(mode);
    o.monitor_in_lockstep = mode == PaceMode::kAsync;  // which has no effect there
    PacePolicy pace(o);
    pace.StepsStored("a", 25);
    pace.Report(Model(20));
    pace.Report(Monitor(0, 99));
    EXPECT_FALSE(pace.WantsJudgement());
    EXPECT_EQ(pace.Grant(Monitor(0, 99)).waiting_for, "nothing: the monitor is not paced");
    pace.StepsStored("a", 25);
    const PaceGrant fit = Ask(pace, Model(20));
    EXPECT_EQ(fit.granted, 1);
    EXPECT_EQ(fit.directive_version, 0);
  }
}

TEST(PaceMonitorTest, TheOrderOfMessagesChangesNoGrant) {
  std::vector<std::string> runs;
  for (const uint64_t seed : {1u, 2u, 3u, 4u}) {
    PacePolicy pace(Small());
    Rng rng(seed);
    int64_t model = 0, updates = 0, judged = 0, version = 0;
    std::string log;
    for (int turn = 0; turn < 4000 && !pace.stopped(); ++turn) {
      switch (rng.Below(4)) {
        case 0:
          if (const PaceGrant g = Ask(pace, Actor()); g.granted > 0) {
            absl::StrAppend(&log, "a", g.granted, "/", g.policy_updates, "/", g.directive_version);
            pace.StepsStored("a", g.granted);
          }
          break;
        case 1:
          if (const PaceGrant g = Ask(pace, Model(model)); g.granted > 0) {
            absl::StrAppend(&log, "m", g.through_steps, "/", g.directive_version);
            model = g.through_steps;
          }
          break;
        case 2:
          if (const PaceGrant g = Ask(pace, Policy(updates)); g.granted > 0) {
            absl::StrAppend(&log, "p", g.granted, "/", g.model_steps, "/", g.directive_version);
            updates += g.granted;
          }
          break;
        default:
          const double rate = judged == 50 ? 0.5 : judged == 75 ? 0 : judged == 100 ? 4 : -1;
          if (const PaceGrant g = Ask(pace, Monitor(judged, version, rate)); g.granted > 0) {
            absl::StrAppend(&log, "w", g.through_steps, "/", g.model_steps, "/", g.policy_updates);
            judged = g.through_steps;
            ++version;
          }
      }
    }
    EXPECT_TRUE(pace.stopped());
    runs.push_back(log);
  }
  for (const std::string& run : runs) EXPECT_EQ(run, runs[0]);
  EXPECT_THAT(runs[0], HasSubstr("w50/25/"));
}

TEST(PaceRateTest, ChangesFromHereOnAndLeavesWhatWasDueDue) {
  PacePolicy pace(Small());
  RunUntilStuck(pace, 0);
  RunUntilStuck(pace, 20);
  pace.Report(Monitor(25));
  RunUntilStuck(pace, 25);
  ASSERT_EQ(pace.env_steps(), 50);
  EXPECT_EQ(pace.DueUpdates(50), 60);
  pace.Report(Monitor(50, 1, 0.5));
  EXPECT_EQ(pace.DueUpdates(50), 60) << "the round before the change is as the recipe says";
  EXPECT_EQ(pace.DueUpdates(55), 62) << "60 + 2.5";
  EXPECT_EQ(pace.DueUpdates(60), 65);
  pace.Report(Monitor(50, 2, -1));
  EXPECT_EQ(pace.DueUpdates(60), 80) << "as if nothing had been said";
}

TEST(PaceRateTest, PauseGrantsNoUpdatesAndTheRunGoesOn) {
  PacePolicy pace(Small());
  RunUntilStuck(pace, 0);
  RunUntilStuck(pace, 20);
  pace.Report(Monitor(25, 1, 0));
  RunUntilStuck(pace, 25);
  EXPECT_EQ(pace.env_steps(), 50);
  EXPECT_EQ(pace.policy_updates(), 10) << "those due before the pause";
  EXPECT_THAT(Ask(pace, Policy(10)).waiting_for, HasSubstr("pause"));
  pace.Report(Monitor(50, 2, -1));
  RunUntilStuck(pace, 50);
  EXPECT_EQ(pace.env_steps(), 75);
  EXPECT_EQ(pace.policy_updates(), 50) << "those of 55 to 70; those of 75 wait for the fit";
}

TEST(PaceRateTest, AsyncPausesUpdatesAndLetsActorsGoOn) {
  PaceOptions o = Small(PaceMode::kAsync);
  o.max_model_lag = 0;
  PacePolicy pace(o);
  pace.StepsStored("a", 30);
  pace.Report(Model(20));
  EXPECT_EQ(Ask(pace, Policy(0)).granted, 40) << "2 x (10 + band of 10)";
  pace.Report(Monitor(0, 1, 0));
  EXPECT_EQ(Ask(pace, Policy(0)).granted, 20) << "those due, without the band";
  EXPECT_THAT(Ask(pace, Policy(20)).waiting_for, HasSubstr("pause"));
  EXPECT_EQ(Ask(pace, Actor()).granted, 170) << "to the end of the run";
  pace.StepsStored("a", 170);
  EXPECT_TRUE(pace.stopped());
}

TEST(PaceRateTest, AsyncBoundsActorsByTheNewRate) {
  PaceOptions o = Small(PaceMode::kAsync);
  o.max_model_lag = 0;
  PacePolicy pace(o);
  pace.StepsStored("a", 30);
  pace.Report(Model(20));
  pace.Report(Policy(20));
  pace.Report(Monitor(0, 1, 0.5));
  EXPECT_EQ(Ask(pace, Actor()).granted, 11) << "30 + band of 10, and the step that reaches it";
  EXPECT_EQ(Ask(pace, Policy(20)).granted, 5);
}

TEST(PaceFrozenModelTest, AFitThatPublishedNothingIsDoneAndTheModelStays) {
  PacePolicy pace(Small());
  RunUntilStuck(pace, 0);
  RunUntilStuck(pace, 20);
  pace.Report(Monitor(25));
  ASSERT_EQ(Ask(pace, Model(20)).granted, 1);
  EXPECT_EQ(Ask(pace, Model(20, /*fitted=*/25)).granted, 0);
  const PaceGrant updates = Ask(pace, Policy(0));
  EXPECT_EQ(updates.granted, 10);
  EXPECT_EQ(updates.model_steps, 20) << "the frozen one";
  pace.Report(Policy(10));
  EXPECT_EQ(Ask(pace, Actor()).granted, 5);
}

/// A desk with its index, and a time that the test moves.
struct Desk {
  Desk() : desk(Small(), {seconds(10), seconds(60)}, index, metrics) {}
  void Advance(const Progress& progress, seconds wait = seconds(5)) {
    Completions out;
    desk.Advance(
        ++ticket, progress, now, now + wait,
        [this, role = progress.role](absl::StatusOr<Grant> g) { answers[role] = *g; }, &out);
    for (auto& completion : out) completion();
  }
  void Pass(seconds time) {
    now += time;
    Completions out;
    desk.Reconsider(now, &out);
    for (auto& completion : out) completion();
  }
  void Store(int64_t steps) {
    index.Append(steps, true);
    desk.pace().StepsStored("a", steps);
  }
  static Progress FromModel(int64_t through) {
    return {.role = Role::kModelTrainer, .member = "m", .model_through_index = through};
  }
  static Progress FromMonitor(int64_t judged, double rate = -1, bool paused = false) {
    return {.role = Role::kMonitor,
            .member = "w",
            .judged_through_index = judged,
            .directive_version = 5,
            .updates_per_step = rate,
            .policy_pause = paused};
  }

  metrics::Registry registry;
  ReplayMetrics metrics{registry};
  TrainingIndex index;
  PaceDesk desk;
  PaceDesk::Time now{seconds(1000)};
  Ticket ticket = 0;
  std::map<Role, Grant> answers;
};

TEST(PaceDeskMonitorTest, WaitsTenSecondsForOneThatNeverCame) {
  Desk desk;
  desk.Store(25);
  desk.Advance(Desk::FromModel(20), seconds(60));
  desk.Pass(seconds(9));
  EXPECT_FALSE(desk.answers.contains(Role::kModelTrainer));
  desk.Pass(seconds(1));
  EXPECT_EQ(desk.answers[Role::kModelTrainer].granted, 1);
  EXPECT_THAT(desk.registry.Page(), HasSubstr("tandem_replay_monitor_lost_total 1"));
  desk.Store(25);
  desk.answers.clear();
  desk.Advance(Desk::FromModel(25));
  EXPECT_EQ(desk.answers[Role::kModelTrainer].granted, 1) << "and not again at the next fit";
}

TEST(PaceDeskMonitorTest, WaitsForOneThatWaitsOrJudgesAndNotForOneThatDied) {
  Desk desk;
  desk.Advance(Desk::FromMonitor(0), seconds(100));
  desk.Store(20);
  desk.Pass(seconds(50));  // it waits all the while
  desk.Store(5);
  desk.Pass(seconds(0));
  ASSERT_EQ(desk.answers[Role::kMonitor].granted, 1);
  EXPECT_EQ(desk.answers[Role::kMonitor].through_index, 25);
  desk.Advance(Desk::FromModel(20), seconds(100));
  desk.Pass(seconds(9));  // it judges
  EXPECT_FALSE(desk.answers.contains(Role::kModelTrainer));
  desk.Advance(Desk::FromMonitor(25), seconds(0));
  EXPECT_EQ(desk.answers[Role::kModelTrainer].granted, 1);
  EXPECT_EQ(desk.answers[Role::kModelTrainer].directive_version, 5);

  desk.Store(25);
  desk.answers.clear();
  desk.Advance(Desk::FromModel(25), seconds(100));
  EXPECT_FALSE(desk.answers.contains(Role::kModelTrainer));
  desk.Pass(seconds(11));  // it died
  EXPECT_EQ(desk.answers[Role::kModelTrainer].granted, 1);
  desk.Store(25);
  desk.Advance(Desk::FromMonitor(25), seconds(0));  // and is back
  desk.answers.clear();
  desk.Advance(Desk::FromModel(50), seconds(100));
  EXPECT_FALSE(desk.answers.contains(Role::kModelTrainer));
}

TEST(PaceDeskMonitorTest, AfterTheTimeToLiveAPauseEndsAndTheRateStays) {
  Desk desk;
  const auto knob = [&desk](const std::string& name, const std::string& value) {
    const std::string line = "tandem_replay_knob_value{knob=\"" + name + "\"} " + value + "\n";
    return desk.registry.Page().find(line) != std::string::npos;
  };
  desk.Store(20);
  desk.Advance(Desk::FromMonitor(0, 0.5), seconds(0));
  EXPECT_EQ(desk.desk.pace().schedule().rate(), 0.5);
  desk.Pass(seconds(600));
  EXPECT_EQ(desk.desk.pace().schedule().rate(), 0.5) << "what was tightened stays so";
  EXPECT_TRUE(knob("updates_per_step", "0.5")) << desk.registry.Page();

  desk.Advance(Desk::FromMonitor(0, 0.5, /*paused=*/true), seconds(0));
  EXPECT_EQ(desk.desk.pace().schedule().rate(), 0);
  EXPECT_TRUE(knob("policy_pause", "1"));
  EXPECT_TRUE(knob("updates_per_step", "0.5")) << "that a pause does not hide";
  desk.Pass(seconds(59));
  EXPECT_EQ(desk.desk.pace().schedule().rate(), 0);
  desk.Pass(seconds(1));
  EXPECT_EQ(desk.desk.pace().schedule().rate(), 0.5);
  EXPECT_TRUE(knob("policy_pause", "0"));

  desk.Advance(Desk::FromMonitor(0, -1, /*paused=*/true), seconds(0));  // it is back
  EXPECT_EQ(desk.desk.pace().schedule().rate(), 0);
  desk.Advance(Desk::FromMonitor(0, -1), seconds(0));
  EXPECT_EQ(desk.desk.pace().schedule().rate(), 2) << "the recipe's";
}

}  // namespace
}  // namespace tandem
