#include "common/coadaptation/discounted_mean.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/rng.h"

namespace tandem::coadaptation {
namespace {

TEST(DiscountedMeanTest, OfEpisodesThatTerminateIsTheMeanDiscountedSum) {
  Rng rng(1);
  const double discount = 0.95;
  std::vector<double> values;
  std::vector<StepPlace> places;
  double sum = 0;
  const int episodes = 30;
  for (int e = 0; e < episodes; ++e) {
    const int length = 1 + static_cast<int>(rng.Below(40));
    for (int t = 0; t < length; ++t) {
      values.push_back(rng.Uniform(-1, 3));
      places.push_back({.t = t, .terminated = t + 1 == length});
      sum += std::pow(discount, t) * values.back();
    }
  }
  EXPECT_NEAR(DiscountedMean(values, places, discount), (1 - discount) * sum / episodes, 1e-12);
}

TEST(DiscountedMeanTest, OfAConstantWithoutEndIsTheConstant) {
  std::vector<StepPlace> places;
  for (int t = 0; t < 500; ++t) places.push_back({.t = t});
  const std::vector<double> values(places.size(), 2.5);
  EXPECT_NEAR(DiscountedMean(values, places, 0.99), 2.5, 1e-12);
}

TEST(DiscountedMeanTest, EarlyStepsWeighMore) {
  const std::vector<double> values = {1, 0};
  const std::vector<StepPlace> places = {{.t = 0}, {.t = 1}};
  EXPECT_NEAR(DiscountedMean(values, places, 0.5), 1 / 1.5, 1e-12);
}

TEST(DiscountedMeanTest, ALateStretchOfALongEpisodeDoesNotVanish) {
  const std::vector<double> values = {1, 0};
  const std::vector<StepPlace> places = {{.t = 100000}, {.t = 100001}};
  EXPECT_NEAR(DiscountedMean(values, places, 0.5), 1 / 1.5, 1e-12);
}

TEST(DiscountedMeanTest, WithoutStepsIsUnknown) {
  EXPECT_TRUE(std::isnan(DiscountedMean({}, {}, 0.9)));
}

}  // namespace
}  // namespace tandem::coadaptation
