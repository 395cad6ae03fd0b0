#include "common/coadaptation/autocorrelation.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/rng.h"

namespace tandem::coadaptation {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<double> Autoregressive(double share, int length) {
  Rng rng(3);
  std::vector<double> values(length);
  double x = 0;
  for (double& value : values) value = x = share * x + rng.Normal();
  return values;
}

TEST(AutocorrelationTime, IsThatOfAFirstOrderProcess) {
  // Closed form: (1 + a) / (1 - a).
  EXPECT_NEAR(AutocorrelationTime(Autoregressive(0, 20000)), 1, 0.1);
  EXPECT_NEAR(AutocorrelationTime(Autoregressive(0.5, 20000)), 3, 0.3);
  EXPECT_NEAR(AutocorrelationTime(Autoregressive(0.9, 60000)), 19, 3);
}

TEST(AutocorrelationTime, HasDefinedEdges) {
  EXPECT_TRUE(std::isnan(AutocorrelationTime({})));
  EXPECT_TRUE(std::isnan(AutocorrelationTime(std::vector<double>{1})));
  EXPECT_EQ(AutocorrelationTime(std::vector<double>(10, 4.0)), 1);
  EXPECT_TRUE(std::isnan(AutocorrelationTime(std::vector<double>{1, NAN, 3})));
  EXPECT_EQ(AutocorrelationTime(std::vector<double>{1, -1, 1, -1, 1, -1}), 1);  // never below 1
}

TEST(BlockLength, IsTenTimesTheTimeAndAtLeastFifty) {
  EXPECT_EQ(BlockLength(1), 50);
  EXPECT_EQ(BlockLength(19.01), 191);
  EXPECT_EQ(BlockLength(NAN), 50);
}

TEST(Blocks, CoverEveryStepOnce) {
  EXPECT_THAT(Blocks(0, 3), IsEmpty());
  EXPECT_THAT(Blocks(6, 3), ElementsAre(Block{0, 3}, Block{3, 6}));
  EXPECT_THAT(Blocks(4, 3), ElementsAre(Block{0, 4}));  // the rest joins
  EXPECT_THAT(Blocks(5, 3), ElementsAre(Block{0, 3}, Block{3, 5}));
  EXPECT_THAT(Blocks(1, 50), ElementsAre(Block{0, 1}));
}

}  // namespace
}  // namespace tandem::coadaptation
