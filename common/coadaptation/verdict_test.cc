#include "common/coadaptation/verdict.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Figures Healthy() {
  Figures figures;
  figures.index = 0.02;
  figures.index_reward = 0.01;
  figures.index_dynamics = 0.01;
  figures.index_termination = 0;
  figures.residual = 0.05;
  figures.model_return = 412;
  figures.real_return = 410;
  figures.return_gap = 0.005;
  figures.return_scale = 400;
  figures.window_steps = 1000;
  figures.refits = 5;
  figures.age_seconds = 1;
  return figures;
}

Judgement JudgeIt(const Figures& figures) { return Judge(figures, Thresholds{}); }

TEST(VerdictTest, NothingKnownIsWarmingUp) {
  const Judgement judgement = JudgeIt(Figures{});
  EXPECT_EQ(judgement.verdict, Verdict::kWarmingUp);
  EXPECT_THAT(judgement.sentence, HasSubstr("0 of 3 model fits"));
}

TEST(VerdictTest, TooFewFreshStepsIsWarmingUp) {
  Figures figures = Healthy();
  figures.window_steps = 40;
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kWarmingUp);
  EXPECT_THAT(JudgeIt(figures).sentence, HasSubstr("40 of 100 steps"));
}

TEST(VerdictTest, TooFewRefitsIsWarmingUpEvenWithALargeIndex) {
  Figures figures = Healthy();
  figures.index = 0.9;
  figures.refits = 2;
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kWarmingUp);
}

TEST(VerdictTest, SmallFiguresAreHealthyAndNamed) {
  const Judgement judgement = JudgeIt(Healthy());
  EXPECT_EQ(judgement.verdict, Verdict::kHealthy);
  EXPECT_THAT(judgement.sentence, HasSubstr("0.02 of the return range better"));
  EXPECT_THAT(judgement.sentence, HasSubstr("412 in the model and 410 in reality"));
}

TEST(VerdictTest, AnIndexAboveWarningWarnsAndAboveToleranceExploits) {
  Figures figures = Healthy();
  figures.index = 0.15;
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kWarning);
  figures.index = 0.31;
  figures.index_dynamics = 0.25;
  const Judgement judgement = JudgeIt(figures);
  EXPECT_EQ(judgement.verdict, Verdict::kExploiting);
  EXPECT_THAT(judgement.sentence, HasSubstr("0.31 of the return range better"));
  EXPECT_THAT(judgement.sentence, HasSubstr("the dynamics (0.25)"));
  EXPECT_THAT(judgement.sentence, HasSubstr("tolerance is 0.20"));
}

TEST(VerdictTest, TheGapAloneWarnsUntilItIsConfirmed) {
  Figures figures = Healthy();
  figures.return_gap = 0.4;
  figures.gaps_above_tolerance = 2;
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kWarning);
  EXPECT_THAT(JudgeIt(figures).sentence,
              HasSubstr("the last 2 comparisons are above the tolerance, 3 in a row decide"));
  figures.gaps_above_tolerance = 3;
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kExploiting);
}

TEST(VerdictTest, ALargeResidualSilencesTheIndexAndTheGapDecides) {
  Figures figures = Healthy();
  figures.index = 0.9;
  figures.residual = -0.8;
  const Judgement judgement = JudgeIt(figures);
  EXPECT_EQ(judgement.verdict, Verdict::kHealthy);
  EXPECT_THAT(judgement.sentence, HasSubstr("The index (+0.90) does not count"));
  EXPECT_THAT(judgement.sentence, HasSubstr("0.80 of the return range away"));
  figures.return_gap = 0.3;
  figures.gaps_above_tolerance = 3;
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kExploiting);
  figures.return_gap = std::nan("");
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kWarmingUp);
  EXPECT_THAT(JudgeIt(figures).sentence, HasSubstr("No verdict yet"));
}

TEST(VerdictTest, ANegativeIndexIsPessimisticButANegativeGapAloneIsNot) {
  Figures figures = Healthy();
  figures.return_gap = -0.6;
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kHealthy);
  EXPECT_THAT(JudgeIt(figures).sentence, HasSubstr("common in healthy training"));
  figures.index = -0.3;
  figures.index_reward = -0.28;
  const Judgement judgement = JudgeIt(figures);
  EXPECT_EQ(judgement.verdict, Verdict::kPessimistic);
  EXPECT_THAT(judgement.sentence, HasSubstr("0.30 of the return range worse"));
  EXPECT_THAT(judgement.sentence, HasSubstr("the reward (-0.28)"));
}

TEST(VerdictTest, OldFiguresAreStale) {
  Figures figures = Healthy();
  figures.index = 0.9;
  figures.age_seconds = 300;
  const Judgement judgement = JudgeIt(figures);
  EXPECT_EQ(judgement.verdict, Verdict::kStale);
  EXPECT_THAT(judgement.sentence, HasSubstr("300 s old"));
}

TEST(VerdictTest, TheIndexAloneIsEnough) {
  Figures figures = Healthy();
  figures.return_gap = figures.model_return = figures.real_return = std::nan("");
  EXPECT_EQ(JudgeIt(figures).verdict, Verdict::kHealthy);
  EXPECT_THAT(JudgeIt(figures).sentence, HasSubstr("not compared yet"));
  EXPECT_THAT(JudgeIt(figures).sentence, Not(HasSubstr("nan")));
}

TEST(VerdictTest, NoSentencePromisesARateOfFalseAlarms) {
  Figures figures = Healthy();
  for (double index : {-0.5, 0.0, 0.15, 0.5}) {
    figures.index = index;
    EXPECT_THAT(JudgeIt(figures).sentence, Not(HasSubstr("false alarm")));
    EXPECT_THAT(JudgeIt(figures).sentence, Not(HasSubstr("probab")));
  }
}

TEST(VerdictTest, EveryVerdictHasAName) {
  EXPECT_STREQ(VerdictName(Verdict::kWarmingUp), "warming_up");
  EXPECT_STREQ(VerdictName(Verdict::kStale), "stale");
}

}  // namespace
}  // namespace tandem::coadaptation
