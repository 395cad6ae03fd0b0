#include "common/coadaptation/model_error.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/rng.h"

namespace tandem::coadaptation {
namespace {

TEST(OutputScaleTest, MatchesTheTwoPassFormula) {
  Rng rng(1);
  OutputScale scale;
  std::vector<double> changes;
  std::vector<double> rewards;
  for (int i = 0; i < 200; ++i) {
    const float observation[] = {static_cast<float>(1000 * rng.Normal()), 7};
    const float next[] = {observation[0] + static_cast<float>(0.5 * rng.Normal()), 7};
    const double reward = 3 + 0.1 * rng.Normal();
    scale.Add(observation, next, reward);
    changes.push_back(static_cast<double>(next[0]) - observation[0]);
    rewards.push_back(reward);
  }
  const auto sd = [](const std::vector<double>& xs) {
    double mean = 0;
    for (double x : xs) mean += x / static_cast<double>(xs.size());
    double square = 0;
    for (double x : xs) square += (x - mean) * (x - mean);
    return std::sqrt(square / static_cast<double>(xs.size()));
  };
  const std::vector<double> sds = scale.StandardDeviations();
  ASSERT_EQ(sds.size(), 3u);
  EXPECT_NEAR(sds[0], sd(changes), 1e-9);
  EXPECT_EQ(sds[1], 0);  // never changed
  EXPECT_NEAR(sds[2], sd(rewards), 1e-9);
}

TEST(OutputScaleTest, IsEmptyBeforeTheFirstStep) {
  EXPECT_TRUE(OutputScale().StandardDeviations().empty());
}

TEST(ErrorRatioTest, IsUnknownWithoutHeldOutError) {
  EXPECT_NEAR(ErrorRatio(0.3, 0.2), 1.5, 1e-12);
  EXPECT_TRUE(std::isnan(ErrorRatio(0.3, 0)));
  EXPECT_TRUE(std::isnan(ErrorRatio(0.3, std::nan(""))));
  EXPECT_TRUE(std::isnan(ErrorRatio(std::nan(""), 0.2)));
}

}  // namespace
}  // namespace tandem::coadaptation
