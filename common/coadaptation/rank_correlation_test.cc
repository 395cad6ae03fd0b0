#include "common/coadaptation/rank_correlation.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

using ::testing::ElementsAre;

const std::vector<double> kX = {1, 2, 2, 4, 5, 7};
const std::vector<double> kY = {2, 1, 3, 3, 8, 5};
const std::vector<double> kConstant = {3, 3, 3, 3, 3, 3};
const std::vector<double> kUnknown = {1, 2, NAN, 4, 5, 6};

TEST(Ranks, TiesShareTheirMean) {
  EXPECT_THAT(Ranks(kX), ElementsAre(1, 2.5, 2.5, 4, 5, 6));
  EXPECT_TRUE(Ranks({}).empty());
}

TEST(Correlations, AreThoseOfNumpy) {
  EXPECT_NEAR(Correlation(kX, kY), 0.7075491376772248, 1e-12);
  EXPECT_NEAR(RankCorrelation(kX, kY), 0.8088235294117647, 1e-12);
  EXPECT_NEAR(Slope(kX, kY), 0.7843137254901958, 1e-12);
}

TEST(Correlations, HaveDefinedEdges) {
  for (auto* correlation : {&Correlation, &RankCorrelation}) {
    EXPECT_TRUE(std::isnan(correlation({}, {})));
    EXPECT_TRUE(std::isnan(correlation(kX, kConstant)));
    EXPECT_TRUE(std::isnan(correlation(kUnknown, kX)));
    EXPECT_TRUE(std::isnan(correlation(kX, std::span<const double>(kY).first(3))));
    EXPECT_NEAR(correlation(kX, kX), 1, 1e-12);
  }
  EXPECT_TRUE(std::isnan(Slope(kConstant, kX)));
  const std::vector<double> rounded = {0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3, 0.3};
  EXPECT_TRUE(std::isnan(Slope(rounded, kX)));
  EXPECT_TRUE(std::isnan(Correlation(rounded, kX)));
  EXPECT_EQ(Slope(kX, kConstant), 0);
  EXPECT_TRUE(std::isnan(Slope(kX, kUnknown)));
  EXPECT_TRUE(std::isnan(Slope({}, {})));
}

}  // namespace
}  // namespace tandem::coadaptation
