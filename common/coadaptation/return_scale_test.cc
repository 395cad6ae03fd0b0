#include "common/coadaptation/return_scale.h"

#include <cmath>

#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

TEST(ReturnScaleTest, IsBestMinusFirst) {
  ReturnScale scale;
  EXPECT_TRUE(std::isnan(scale.scale()));
  scale.AddMean(-1200);
  scale.AddMean(-150);
  scale.AddMean(-1500);
  EXPECT_NEAR(scale.scale(), 1050, 1e-12);
}

TEST(ReturnScaleTest, IsAtLeastATenthOfTheFirstReturn) {
  ReturnScale scale;
  scale.AddMean(-1200);
  EXPECT_NEAR(scale.scale(), 120, 1e-12);
}

TEST(ReturnScaleTest, IsNotKnownAsLongAsNothingWasEverReturned) {
  ReturnScale scale;
  for (int i = 0; i < 20; ++i) {
    scale.AddEpisode(0);
    scale.AddMean(0);
    EXPECT_TRUE(std::isnan(scale.scale())) << "a maze whose goal nobody has found";
  }
  scale.AddMean(0.2);
  EXPECT_NEAR(scale.scale(), 0.2, 1e-12);
}

TEST(ReturnScaleTest, IsAtLeastTwiceTheSpreadOfTheFirstEpisodes) {
  ReturnScale scale;
  scale.AddMean(5);
  scale.AddEpisode(3);
  EXPECT_NEAR(scale.scale(), 0.5, 1e-12);
  scale.AddEpisode(7);
  EXPECT_NEAR(scale.scale(), 2 * std::sqrt(8), 1e-12);
  for (int i = 0; i < ReturnScale::kFirstEpisodes; ++i) scale.AddEpisode(i % 2 == 0 ? 3 : 7);
  const double early = scale.scale();
  scale.AddEpisode(1e6);  // a late one does not count
  EXPECT_EQ(scale.scale(), early);
  scale.AddMean(1005);
  EXPECT_NEAR(scale.scale(), 1000, 1e-12);
}

TEST(ReturnScaleTest, IgnoresWhatIsNotFinite) {
  ReturnScale scale;
  scale.AddEpisode(INFINITY);
  scale.AddEpisode(0);
  scale.AddMean(std::nan(""));
  scale.AddMean(10);
  scale.AddMean(INFINITY);
  scale.AddMean(110);
  EXPECT_NEAR(scale.scale(), 100, 1e-12);
}

TEST(ReturnGapTest, IsPositiveWhereTheModelPromisesMore) {
  EXPECT_NEAR(ReturnGap(412, 310, 408), 0.25, 1e-12);
  EXPECT_TRUE(std::isnan(ReturnGap(std::nan(""), 310, 408)));
  EXPECT_TRUE(std::isnan(ReturnGap(412, 310, std::nan(""))));
}

}  // namespace
}  // namespace tandem::coadaptation
