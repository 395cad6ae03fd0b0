#include "common/coadaptation/return_scale.h"

#include <cmath>

#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

TEST(ReturnScaleTest, IsBestMinusFirst) {
  ReturnScale scale;
  EXPECT_TRUE(std::isnan(scale.scale()));
  scale.Add(-1200);
  scale.Add(-150);
  scale.Add(-1500);
  EXPECT_NEAR(scale.scale(), 1050, 1e-12);
}

TEST(ReturnScaleTest, HasAFloorRelativeToTheFirstReturn) {
  ReturnScale scale(/*floor=*/0.5, /*relative_floor=*/0.1);
  scale.Add(-1200);
  EXPECT_NEAR(scale.scale(), 120, 1e-12);
  ReturnScale tiny(/*floor=*/0.5, /*relative_floor=*/0.1);
  tiny.Add(0);
  EXPECT_NEAR(tiny.scale(), 0.5, 1e-12);
}

TEST(ReturnScaleTest, IgnoresWhatIsNotFinite) {
  ReturnScale scale;
  scale.Add(std::nan(""));
  scale.Add(10);
  scale.Add(INFINITY);
  scale.Add(110);
  EXPECT_NEAR(scale.scale(), 100, 1e-12);
}

TEST(ReturnGapTest, IsPositiveWhereTheModelPromisesMore) {
  EXPECT_NEAR(ReturnGap(412, 310, 408), 0.25, 1e-12);
  EXPECT_TRUE(std::isnan(ReturnGap(std::nan(""), 310, 408)));
  EXPECT_TRUE(std::isnan(ReturnGap(412, 310, std::nan(""))));
}

}  // namespace
}  // namespace tandem::coadaptation
