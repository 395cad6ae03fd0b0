#include "common/coadaptation/verdict_process.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/rng.h"

namespace tandem::coadaptation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A course of checkpoints, numbered from after the warm-up.
class Course {
 public:
  explicit Course(const Thresholds& thresholds = {}) : process(thresholds) {}

  static Checkpoint Quiet() {
    Checkpoint c;
    c.fresh_steps = 500;
    c.residual = 0.05;
    c.clipped_share = 0;
    c.index = 0.01;
    c.index_reward = 0.002;
    c.index_dynamics = 0.008;
    c.index_termination = 0;
    c.gap_25 = 0.02;
    c.gap_100 = 0.01;
    c.gap_episode = 0.03;
    c.model_return = 412;
    c.real_return = 400;
    return c;
  }
  Judgement Next(Checkpoint c) {
    c.number = ++number;
    return process.Judge(c);
  }
  /// Judges this checkpoint until the verdict comes; returns how many it took, 1000 at most.
  int Until(Verdict verdict, const Checkpoint& c, Judgement* judgement) {
    for (int n = 1; n <= 1000; ++n) {
      *judgement = Next(c);
      if (judgement->verdict == verdict) return n;
    }
    return 1000;
  }

  VerdictProcess process;
  double number = 3;
};

TEST(VerdictProcessTest, TheFirstModelsAreNotJudged) {
  Course course;
  course.number = 0;
  Checkpoint c = Course::Quiet();
  c.index = c.gap_episode = 9;
  for (int i = 0; i < 3; ++i) {
    const Judgement judgement = course.Next(c);
    EXPECT_EQ(judgement.verdict, Verdict::kWarmingUp);
    EXPECT_EQ(judgement.evidence, 0);
    EXPECT_THAT(judgement.sentence,
                HasSubstr(i < 2 ? "of the first 3 models judged; the test begins after them"
                                : "3 of the first 3 models judged; the test begins with the next"));
  }
  EXPECT_NE(course.Next(c).verdict, Verdict::kWarmingUp);
}

TEST(VerdictProcessTest, SmallFiguresAreHealthyAndNamed) {
  Course course;
  const Judgement judgement = course.Next(Course::Quiet());
  EXPECT_EQ(judgement.verdict, Verdict::kHealthy);
  EXPECT_EQ(judgement.signal, "");
  EXPECT_TRUE(judgement.clean);
  EXPECT_THAT(judgement.sentence, HasSubstr("No sign"));
  EXPECT_THAT(judgement.sentence, HasSubstr("412 in the model and 400 in reality"));
}

TEST(VerdictProcessTest, OneLargeValueWarnsAndEnoughEvidenceConfirms) {
  Course course;
  Checkpoint c = Course::Quiet();
  c.index = 0.9;
  c.index_dynamics = 0.8;
  Judgement judgement = course.Next(c);
  EXPECT_EQ(judgement.verdict, Verdict::kWarning);
  EXPECT_EQ(judgement.signal, "bias");
  EXPECT_FALSE(judgement.clean);
  const int checkpoints = course.Until(Verdict::kExploiting, c, &judgement);
  EXPECT_LT(checkpoints, 20);
  EXPECT_EQ(judgement.signal, "bias");
  EXPECT_GE(judgement.evidence, 200);
  EXPECT_THAT(judgement.sentence, HasSubstr("exploits errors of its model: step by step"));
  EXPECT_THAT(judgement.sentence, HasSubstr("the dynamics (0.80)"));
  EXPECT_THAT(judgement.sentence, HasSubstr("an alarm takes 200"));
}

TEST(VerdictProcessTest, EachSignalCanCarryAnAlarmAlone) {
  for (const Signal signal : kSignals) {
    Course course;
    Checkpoint c = Course::Quiet();
    (signal == Signal::kBias ? c.index : signal == Signal::kGap100 ? c.gap_100 : c.gap_episode) = 1;
    Judgement judgement;
    EXPECT_LT(course.Until(Verdict::kExploiting, c, &judgement), 20) << SignalName(signal);
    EXPECT_EQ(judgement.signal, SignalName(signal));
  }
}

TEST(VerdictProcessTest, TheEvidenceTakesTheEpisodesInParts) {
  Checkpoint c = Course::Quiet();
  EXPECT_THAT(ReadSignals(c, {})[2].parts, ElementsAre(0.03)) << "one episode";
  c.gap_episode_1 = 0.7;
  c.gap_episode_2 = -0.1;
  EXPECT_THAT(ReadSignals(c, {})[2].parts, ElementsAre(0.7, -0.1));
  c.gap_episode_3 = c.gap_episode_4 = c.gap_episode_5 = 0.2;
  EXPECT_THAT(ReadSignals(c, {})[2].parts, ElementsAre(0.7, -0.1, 0.2, 0.2, 0.2));
  EXPECT_EQ(ReadSignals(c, {})[2].value, 0.03);
  EXPECT_THAT(ReadSignals({}, {})[2].parts, ElementsAre());
}

TEST(VerdictProcessTest, EpisodesThatAgreeConfirmSooner) {
  Course one;
  Checkpoint c = Course::Quiet();
  c.gap_episode = 0.5;
  Judgement judgement;
  const int alone = one.Until(Verdict::kExploiting, c, &judgement);
  Course two;
  c.gap_episode_1 = c.gap_episode_2 = 0.5;
  EXPECT_LT(two.Until(Verdict::kExploiting, c, &judgement), alone);
}

TEST(VerdictProcessTest, OneModelOfTwoEpisodesHardlyConfirmsAnAlarmAlone) {
  Course course;
  Checkpoint c = Course::Quiet();
  c.gap_100 = 1;
  c.gap_episode = c.gap_episode_1 = c.gap_episode_2 = 2;
  EXPECT_EQ(course.Next(c).verdict, Verdict::kWarning);
  EXPECT_EQ(course.Next(c).verdict, Verdict::kExploiting);
}

TEST(VerdictProcessTest, EvidenceWithoutAPresentGapOnlyWarns) {
  Course course;
  Checkpoint c = Course::Quiet();
  c.gap_100 = 1;
  Judgement judgement;
  course.Until(Verdict::kExploiting, c, &judgement);
  for (int i = 0; i < 3; ++i) course.Next(c);
  judgement = course.Next(Course::Quiet());
  EXPECT_EQ(judgement.verdict, Verdict::kWarning);
  EXPECT_GE(judgement.evidence, judgement.level);
  EXPECT_EQ(judgement.signal, "gap_100") << "what made it so";
  EXPECT_THAT(judgement.sentence, Not(HasSubstr("not confirmed")));
  EXPECT_THAT(judgement.sentence,
              HasSubstr("evidence that is confirmed and has not fallen yet: over "));
  EXPECT_THAT(judgement.sentence, HasSubstr("still, carried by gap_100; an alarm takes 200"));
  Checkpoint none = Course::Quiet();
  none.gap_100 = std::nan("");
  EXPECT_THAT(course.Next(none).sentence, HasSubstr("412 in the model"));
  course.process.Reset(/*repeated=*/false);
  judgement = course.Next(Course::Quiet());
  EXPECT_EQ(judgement.verdict, Verdict::kHealthy);
}

TEST(VerdictProcessTest, AnAlarmThatGoesOnIsConfirmedAgainSooner) {
  const auto confirm = [](bool repeated) {
    Course course;
    Checkpoint c = Course::Quiet();
    c.gap_25 = c.gap_100 = c.gap_episode = 0.4;
    Judgement judgement;
    course.process.Reset(repeated);
    const int checkpoints = course.Until(Verdict::kExploiting, c, &judgement);
    const Thresholds thresholds;
    EXPECT_EQ(judgement.level,
              repeated ? thresholds.repeat_interval : thresholds.false_alarm_interval);
    EXPECT_GE(judgement.evidence, judgement.level);
    return checkpoints;
  };
  EXPECT_LT(confirm(true), confirm(false) - 2);
}

TEST(VerdictProcessTest, ConfirmingAgainNeverTakesMoreThanTheFirstTime) {
  Thresholds thresholds;
  thresholds.false_alarm_interval = 5;
  VerdictProcess process(thresholds);
  EXPECT_EQ(process.level(), 5);
  process.Reset(/*repeated=*/true);
  EXPECT_EQ(process.level(), 5);
}

TEST(VerdictProcessTest, ABiasThatDoesNotCountFeedsNothingAndIsExplained) {
  const auto with = [](auto change) {
    Checkpoint c = Course::Quiet();
    c.index = 5;
    change(c);
    return c;
  };
  for (const auto& [checkpoint, why] : std::vector<std::pair<Checkpoint, std::string>>{
           {with([](Checkpoint& c) { c.residual = -0.8; }), "0.80 of the return scale away"},
           {with([](Checkpoint& c) { c.clipped_share = 0.03; }), "3.0 % of its steps were clipped"},
           {with([](Checkpoint& c) { c.fresh_steps = 20; }), "20 steps that the model has not"},
       }) {
    Course course;
    for (int i = 0; i < 50; ++i) course.Next(checkpoint);
    const Judgement judgement = course.Next(checkpoint);
    EXPECT_EQ(judgement.verdict, Verdict::kHealthy);
    EXPECT_THAT(judgement.sentence, HasSubstr(why));
    EXPECT_LT(judgement.evidence, 200);
  }
}

TEST(VerdictProcessTest, WhereNothingCountsThereIsNoVerdict) {
  Course course;
  Checkpoint c;
  c.index = 3;
  c.fresh_steps = 500;
  c.residual = 2;
  const Judgement judgement = course.Next(c);
  EXPECT_EQ(judgement.verdict, Verdict::kVoid) << "it is not early any more";
  EXPECT_THAT(judgement.sentence, HasSubstr("No verdict on the newest model: the index (+3.00)"));
  EXPECT_THAT(judgement.sentence, HasSubstr("gap_episode is not known"));
  EXPECT_THAT(course.Next({}).sentence, Not(HasSubstr("nan")));
}

TEST(VerdictProcessTest, ALowGapOverFewStepsIsPessimisticButLongOnesAreNot) {
  Course gaps;
  Checkpoint c = Course::Quiet();
  c.gap_5 = -0.04;  // a healthy run's
  c.gap_25 = c.gap_100 = c.gap_episode = -0.9;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(gaps.Next(c).verdict, Verdict::kHealthy);
  Course fear;
  c = Course::Quiet();
  c.gap_5 = -0.3;
  c.index = -0.15;
  c.index_reward = -0.15;
  Judgement judgement;
  EXPECT_LT(fear.Until(Verdict::kPessimistic, c, &judgement), 20);
  EXPECT_EQ(judgement.signal, "gap_5");
  EXPECT_THAT(judgement.sentence, HasSubstr("over 5 steps from real states the model promises 0.30 "
                                            "of the return scale less than came"));
  EXPECT_THAT(judgement.sentence, HasSubstr("the reward (-0.15)"));
  EXPECT_THAT(judgement.sentence, HasSubstr("the tolerance is 0.10"));
  EXPECT_LT(judgement.evidence, 200);
}

TEST(VerdictProcessTest, UnusualFiguresWarnInPairsOnceTheRunIsKnown) {
  Course course;
  Checkpoint c = Course::Quiet();
  c.error_ratio = 3;
  c.policy_shift = 2;
  EXPECT_EQ(course.Next(c).verdict, Verdict::kHealthy);  // nothing to compare with yet
  Course known;
  for (int i = 0; i < 8; ++i) {
    Checkpoint usual = Course::Quiet();
    usual.error_ratio = 1 + 0.01 * i;
    usual.policy_shift = 0.1;
    usual.coverage_onpolicy = 0.9;
    known.Next(usual);
  }
  Checkpoint one = Course::Quiet();
  one.error_ratio = 3;
  Judgement judgement = known.Next(one);
  EXPECT_EQ(judgement.verdict, Verdict::kHealthy);
  EXPECT_THAT(judgement.warnings, ElementsAre("error_ratio"));
  one.policy_shift = 2;
  one.error_ratio = 4;
  judgement = known.Next(one);
  EXPECT_EQ(judgement.verdict, Verdict::kWarning);
  EXPECT_THAT(judgement.warnings, ElementsAre("error_ratio", "policy_shift"));
  EXPECT_NEAR(judgement.warning_score, 0.4, 1e-12);
  EXPECT_TRUE(judgement.clean) << "a drift without harm";
  EXPECT_THAT(judgement.sentence, HasSubstr("error_ratio, policy_shift"));
  EXPECT_THAT(judgement.sentence, HasSubstr("not confirmed"));
}

TEST(VerdictProcessTest, ADriftWithoutHarmIsLearned) {
  Course course;
  Checkpoint c = Course::Quiet();
  c.error_ratio = 1;
  c.policy_shift = 0.1;
  for (int i = 0; i < 20; ++i) course.Next(c);
  c.error_ratio = 3;
  c.policy_shift = 2;
  EXPECT_EQ(course.Next(c).verdict, Verdict::kWarning);
  int warnings = 0;
  for (int i = 0; i < 100; ++i) warnings += course.Next(c).verdict == Verdict::kWarning ? 1 : 0;
  EXPECT_LT(warnings, 10);
}

TEST(VerdictProcessTest, TheScoreIsBetweenZeroAndOne) {
  Course course;
  Checkpoint c = Course::Quiet();
  c.index = c.gap_25 = c.gap_100 = c.gap_episode = -1;
  EXPECT_EQ(course.Next(c).warning_score, 0);
  c.index = 7;
  EXPECT_EQ(course.Next(c).warning_score, 1);
  c.index = 0.1;
  EXPECT_NEAR(course.Next(c).warning_score, 0.5, 1e-12);
}

TEST(VerdictProcessTest, CleanTakesTheUpperBoundOfEverySignal) {
  Checkpoint c = Course::Quiet();
  EXPECT_TRUE(IsClean(ReadSignals(c, {}), {}));
  c.gap_episode_error = 0.2;
  EXPECT_FALSE(IsClean(ReadSignals(c, {}), {}));
  EXPECT_FALSE(IsClean(ReadSignals({}, {}), {})) << "nothing known is not clean";
}

TEST(VerdictProcessTest, MemoryGoesOnWhereItStopped) {
  Course one;
  Rng rng(5);
  const auto draw = [&] {
    Checkpoint c = Course::Quiet();
    c.index = rng.Normal() * 0.3;
    c.gap_25 = rng.Normal() * 0.5;
    c.error_ratio = 1 + rng.Uniform();
    c.c2st_auc = rng.Uniform();
    return c;
  };
  Course other;
  for (int i = 0; i < 30; ++i) {
    Checkpoint c = draw();
    one.Next(c);
    c.number = one.number;
    other.process.LearnHealthy(c);
  }
  other.number = one.number;
  other.process.Restore(one.process.memory());
  for (int i = 0; i < 30; ++i) {
    const Checkpoint c = draw();
    const Judgement a = one.Next(c);
    const Judgement b = other.Next(c);
    EXPECT_EQ(a.evidence, b.evidence);
    EXPECT_EQ(a.evidence_early, b.evidence_early);
    EXPECT_EQ(a.evidence_negative, b.evidence_negative);
    EXPECT_EQ(a.verdict, b.verdict);
    EXPECT_EQ(a.warnings, b.warnings);
  }
}

TEST(VerdictProcessTest, FalseAlarmsOfTheWholeVerdictKeepTheInterval) {
  Rng rng(6);
  Thresholds thresholds;
  thresholds.false_alarm_interval = 50;
  double checkpoints = 0;
  constexpr int kRuns = 200;
  for (int run = 0; run < kRuns; ++run) {
    Course course(thresholds);
    for (bool alarm = false; !alarm; ++checkpoints) {
      Checkpoint c = Course::Quiet();
      // Strongly dependent signals at the edge of the null, some of them missing now and then.
      const double common = rng.Normal() * 0.34;  // the mean of max(0.1, it) is 0.191
      c.index = common;
      c.gap_25 = common;
      c.gap_100 = common + 0.1 * rng.Normal();
      c.gap_episode = std::nan("");
      if (rng.Uniform() > 0.3) {
        c.gap_episode_1 = 0.35 * rng.Normal();
        c.gap_episode_2 = 0.35 * rng.Normal();
        c.gap_episode = (c.gap_episode_1 + c.gap_episode_2) / 2;
      }
      const Judgement judgement = course.Next(c);
      alarm = judgement.verdict == Verdict::kExploiting || course.number > 5000;
    }
  }
  EXPECT_GT(checkpoints / kRuns, 50 * (1 - 3 / std::sqrt(kRuns)));
}

TEST(VerdictTest, EveryVerdictHasAName) {
  EXPECT_STREQ(VerdictName(Verdict::kWarmingUp), "warming_up");
  EXPECT_STREQ(VerdictName(Verdict::kStale), "stale");
  for (int i = 1; i <= kVerdicts; ++i) {
    EXPECT_STRNE(VerdictName(static_cast<Verdict>(i)), "unknown") << i;
  }
}

TEST(StaleTest, SlowRunsMayTakeTheirTime) {
  EXPECT_FALSE(IsStale(100, std::nan(""), {}));
  EXPECT_TRUE(IsStale(130, std::nan(""), {}));
  EXPECT_FALSE(IsStale(130, 100, {}));
  EXPECT_TRUE(IsStale(301, 100, {}));
}

}  // namespace
}  // namespace tandem::coadaptation
