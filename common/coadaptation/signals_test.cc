#include "common/coadaptation/signals.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/coadaptation/sentence.h"

namespace tandem::coadaptation {
namespace {

using ::testing::HasSubstr;

/// One whose index counts.
Checkpoint Sound() {
  Checkpoint c;
  c.return_scale = 100;
  c.fresh_steps = 400;
  c.scored_steps = 400;
  c.clipped_share = 0;
  c.index = 0.3;
  c.residual = 0.1;
  return c;
}

TEST(SignalsTest, TheIndexNeedsEnoughStepsThatWereScored) {
  Checkpoint c = Sound();
  EXPECT_EQ(ReadSignals(c, {})[0].value, 0.3);
  c.scored_steps = 99;
  EXPECT_TRUE(std::isnan(ReadSignals(c, {})[0].value)) << "400 fresh ones do not help";
  EXPECT_THAT(ReadSignals(c, {})[0].why_not, HasSubstr("rests on 99 steps"));
  c.scored_steps = Checkpoint::kNaN;  // an older history
  EXPECT_EQ(ReadSignals(c, {})[0].value, 0.3);
  c.fresh_steps = 99;
  EXPECT_TRUE(std::isnan(ReadSignals(c, {})[0].value));
}

TEST(SignalsTest, AnIndexOfWhatSurvivedDoesNotCount) {
  Checkpoint c = Sound();
  c.clipped_share = 0.05;
  EXPECT_TRUE(std::isnan(ReadSignals(c, {})[0].value));
  EXPECT_THAT(ReadSignals(c, {})[0].why_not, HasSubstr("clipped or not finite"));
}

TEST(SignalsTest, WithoutARangeOfReturnsNothingCountsAndItIsSaidOnce) {
  Checkpoint c;
  c.fresh_steps = c.scored_steps = 400;
  const Readings readings = ReadSignals(c, {});
  EXPECT_TRUE(std::isnan(LargestValue(readings)));
  EXPECT_EQ(DescribeNothingCounts(readings),
            "No verdict on the newest model: no return but 0 has come so far, so that there is no "
            "range to measure in.");
}

}  // namespace
}  // namespace tandem::coadaptation
