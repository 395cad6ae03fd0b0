#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/rng.h"
#include "common/coadaptation/verdict_process.h"

namespace tandem::coadaptation {
namespace {

using ::testing::HasSubstr;

Checkpoint With(double number, double gap) {
  Checkpoint c;
  c.number = number;
  c.fresh_steps = 500;
  c.gap_100 = c.gap_episode = c.gap_episode_1 = c.gap_episode_2 = gap;
  return c;
}

/// Checkpoints of this gap until the alarm is early and until it is confirmed.
std::pair<int, int> Course(double gap) {
  VerdictProcess process({});
  int early = 0;
  for (int n = 1; n <= 100; ++n) {
    const Judgement judgement = process.Judge(With(3 + n, gap));
    if (judgement.early && early == 0) early = n;
    if (judgement.verdict == Verdict::kExploiting) return {early, n};
  }
  return {early, 101};
}

TEST(EarlyAlarmTest, ComesBeforeTheConfirmedOneAndAtGapsThatNeverConfirm) {
  const auto [early, confirmed] = Course(0.5);
  EXPECT_GT(early, 0);
  EXPECT_LT(early, confirmed);
  EXPECT_LT(confirmed, 10);
  const auto [below, never] = Course(0.18);
  EXPECT_GT(below, 0) << "above the warning threshold";
  EXPECT_EQ(never, 101) << "below the tolerance";
  EXPECT_EQ(Course(0.09), std::make_pair(0, 101));
}

TEST(EarlyAlarmTest, SaysSoInTheSentenceAndConfirmedIncludesEarly) {
  VerdictProcess process({});
  Judgement judgement;
  for (int n = 1; n <= 100 && !judgement.early; ++n) judgement = process.Judge(With(3 + n, 0.3));
  EXPECT_EQ(judgement.verdict, Verdict::kWarning);
  EXPECT_GE(judgement.evidence_early, 20);
  EXPECT_THAT(judgement.sentence, HasSubstr("Early alarm, not confirmed"));
  EXPECT_THAT(judgement.sentence, HasSubstr("an early alarm takes 20"));
  for (int n = 1; n <= 100 && judgement.verdict != Verdict::kExploiting; ++n) {
    judgement = process.Judge(With(103 + n, 0.3));
  }
  EXPECT_EQ(judgement.verdict, Verdict::kExploiting);
  EXPECT_TRUE(judgement.early);
}

TEST(EarlyAlarmTest, NeedsAGapNowAndBeginsAnewAfterAnAction) {
  VerdictProcess process({});
  Judgement judgement;
  for (int n = 1; n <= 20; ++n) judgement = process.Judge(With(3 + n, 0.4));
  EXPECT_TRUE(judgement.early);
  EXPECT_FALSE(process.Judge(With(30, 0.02)).early);
  process.Reset(/*repeated=*/true);
  judgement = process.Judge(With(31, 0.12));
  EXPECT_FALSE(judgement.early);
  EXPECT_LT(judgement.evidence_early, 20);
}

TEST(EarlyAlarmTest, FalseOnesKeepTheIntervalAtTheEdgeOfTheNull) {
  Rng rng(9);
  double checkpoints = 0;
  constexpr int kRuns = 300;
  for (int run = 0; run < kRuns; ++run) {
    VerdictProcess process({});
    bool early = false;
    for (int n = 1; n <= 5000 && !early; ++n, ++checkpoints) {
      // The mean of max(0.05, it) is just below 0.1 for each value, and the gaps share their noise.
      const double common = 0.16 * rng.Normal();
      Checkpoint c = With(3 + n, common);
      c.gap_episode_2 = 0.16 * rng.Normal();
      c.gap_episode = (c.gap_episode_1 + c.gap_episode_2) / 2;
      early = process.Judge(c).early;
    }
  }
  EXPECT_GT(checkpoints / kRuns, 20 * (1 - 3 / std::sqrt(kRuns)));
}

}  // namespace
}  // namespace tandem::coadaptation
