#include "common/coadaptation/mean_error.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/coadaptation/open_loop.h"
#include "common/coadaptation/quantile.h"

namespace tandem::coadaptation {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MeanAndError, IsTheTextbooks) {
  const MeanError figures = MeanAndError(std::vector<double>{1, 2, 3, 6});
  EXPECT_EQ(figures.mean, 3);
  EXPECT_NEAR(figures.sd, std::sqrt(14.0 / 3), 1e-12);
  EXPECT_NEAR(figures.error, std::sqrt(14.0 / 3) / 2, 1e-12);
  EXPECT_TRUE(std::isnan(MeanAndError({}).mean));
  EXPECT_EQ(MeanAndError(std::vector<double>{4}).mean, 4);
  EXPECT_TRUE(std::isnan(MeanAndError(std::vector<double>{4}).error));
  EXPECT_EQ(MeanAndError(std::vector<double>{4, 4, 4}).error, 0);
  EXPECT_TRUE(std::isnan(MeanAndError(std::vector<double>{4, NAN}).mean));
}

TEST(BranchedGap, ScalesToAWholeEpisode) {
  EXPECT_NEAR(BranchedGap(0.5, 25, 1000, 100), 0.2, 1e-12);  // .5 in 25 steps, 40 times as long
  EXPECT_NEAR(BranchedGap(-3, 100, 20, 30), -0.1, 1e-12);    // both sums ended: no factor
  EXPECT_TRUE(std::isnan(BranchedGap(1, 5, 100, 0)));
  EXPECT_TRUE(std::isnan(BranchedGap(1, 5, NAN, 1)));
  EXPECT_TRUE(std::isnan(BranchedGap(NAN, 5, 100, 1)));
}

TEST(ReturnsToGo, SumWhatFollows) {
  EXPECT_THAT(ReturnsToGo(std::vector<float>{1, 2, 4}, 0.5, 0), ElementsAre(3, 4, 4));
  EXPECT_THAT(ReturnsToGo(std::vector<float>{1, 2}, 0.5, 8), ElementsAre(4, 6));
  EXPECT_THAT(ReturnsToGo({}, 0.5, 8), IsEmpty());
}

TEST(Quantile, InterpolatesLikeNumpy) {
  const std::vector<double> values = {3, 1, 2, 10, -4};
  EXPECT_EQ(Quantile(values, 0), -4);
  EXPECT_NEAR(Quantile(values, 0.01), -3.8, 1e-12);
  EXPECT_NEAR(Quantile(values, 0.3), 1.2, 1e-12);
  EXPECT_EQ(Median(values), 2);
  EXPECT_NEAR(Quantile(values, 0.99), 9.72, 1e-12);
  EXPECT_EQ(Quantile(values, 1), 10);
  EXPECT_EQ(Quantile({5}, 0.3), 5);
  EXPECT_TRUE(std::isnan(Quantile({}, 0.5)));
  EXPECT_TRUE(std::isnan(Quantile({1, NAN}, 0.5)));
  EXPECT_TRUE(std::isnan(Quantile({1, 2}, 1.5)));
}

TEST(RewardRange, IsTheRatioForRewardsFromZeroOn) {
  std::vector<double> real;
  std::vector<double> imagined;
  for (int i = 0; i <= 1000; ++i) {
    real.push_back(i < 500 ? 0 : 2);
    imagined.push_back(3);
  }
  EXPECT_NEAR(RewardRange(imagined, real), 1.5, 1e-12);
  EXPECT_NEAR(RewardRange(real, real), 1, 1e-12);
}

TEST(RewardRange, MeansSomethingForCostsAndConstants) {
  std::vector<double> costs;
  for (int i = 0; i <= 100; ++i) costs.push_back(-10 + 0.1 * i);  // -10 to 0
  EXPECT_NEAR(RewardRange({4.8}, costs), 1 + 4.9 / 9.8, 1e-9);    // beyond -0.1 by 4.9
  EXPECT_NEAR(RewardRange({1.05, 1.05}, {1, 1, 1}), 1.5, 1e-9);   // 5 % of 1 is half the unit
  EXPECT_TRUE(std::isnan(RewardRange({1}, {0, 0})));
  EXPECT_TRUE(std::isnan(RewardRange({}, {1, 2})));
  EXPECT_TRUE(std::isnan(RewardRange({1}, {})));
  EXPECT_TRUE(std::isnan(RewardRange({NAN}, {1, 2})));
}

TEST(OpenLoop, DistanceIsInDeviations) {
  const std::vector<float> predicted = {1, 2, 9};
  const std::vector<float> real = {0, 4, 0};
  EXPECT_NEAR(StateDistance(predicted, real, std::vector<double>{1, 2, 0}), 1, 1e-12);
  EXPECT_TRUE(std::isnan(StateDistance(predicted, real, std::vector<double>{0, 0, 0})));
}

}  // namespace
}  // namespace tandem::coadaptation
