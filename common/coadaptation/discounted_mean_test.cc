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

/// Steps of `episodes` episodes of 20 to 60 steps, of which half end in a terminal state. The
/// values of an episode lie about one of their own, and are the larger the longer it lasts.
struct Steps {
  std::vector<double> values;
  std::vector<StepPlace> places;
};
Steps Play(int episodes, Rng& rng) {
  Steps steps;
  for (int e = 0; e < episodes; ++e) {
    const int length = 20 + static_cast<int>(rng.Below(41));
    const bool terminates = rng.Below(2) == 0;
    const double level = 1 + rng.Normal();
    for (int t = 0; t < length; ++t) {
      steps.values.push_back(level + 0.05 * t + rng.Normal());
      steps.places.push_back({.t = t, .terminated = terminates && t + 1 == length});
    }
  }
  return steps;
}

TEST(DiscountedMeanErrorTest, IsTheSpreadOfTheMeanOverRuns) {
  constexpr double kDiscount = 0.97;
  constexpr int kRuns = 400;
  Rng rng(5);
  std::vector<double> means;
  double errors = 0;
  for (int run = 0; run < kRuns; ++run) {
    const Steps steps = Play(40, rng);
    means.push_back(DiscountedMean(steps.values, steps.places, kDiscount));
    errors += DiscountedMeanError(steps.values, steps.places, kDiscount, 120) / kRuns;
  }
  double mean = 0;
  for (const double x : means) mean += x / kRuns;
  double squares = 0;
  for (const double x : means) squares += (x - mean) * (x - mean);
  const double spread = std::sqrt(squares / (kRuns - 1));
  EXPECT_NEAR(errors, spread, 0.2 * spread);
}

TEST(DiscountedMeanErrorTest, IsThatOfABootstrapOverEpisodes) {
  constexpr double kDiscount = 0.97;
  constexpr int kEpisodes = 60;
  Rng rng(6);
  std::vector<Steps> episodes;
  Steps all;
  for (int e = 0; e < kEpisodes; ++e) {
    episodes.push_back(Play(1, rng));
    all.values.insert(all.values.end(), episodes[e].values.begin(), episodes[e].values.end());
    all.places.insert(all.places.end(), episodes[e].places.begin(), episodes[e].places.end());
  }
  std::vector<double> means;
  for (int draw = 0; draw < 400; ++draw) {
    Steps drawn;
    for (int e = 0; e < kEpisodes; ++e) {
      const Steps& one = episodes[rng.Below(kEpisodes)];
      drawn.values.insert(drawn.values.end(), one.values.begin(), one.values.end());
      drawn.places.insert(drawn.places.end(), one.places.begin(), one.places.end());
    }
    means.push_back(DiscountedMean(drawn.values, drawn.places, kDiscount));
  }
  double mean = 0;
  for (const double x : means) mean += x / static_cast<double>(means.size());
  double squares = 0;
  for (const double x : means) squares += (x - mean) * (x - mean);
  const double bootstrap = std::sqrt(squares / static_cast<double>(means.size() - 1));
  EXPECT_NEAR(DiscountedMeanError(all.values, all.places, kDiscount, 60), bootstrap,
              0.3 * bootstrap);
}

TEST(DiscountedMeanErrorTest, HasDefinedEdges) {
  std::vector<StepPlace> places;
  for (int t = 0; t < 200; ++t) places.push_back({.t = t});
  const std::vector<double> constant(places.size(), 2.5);
  EXPECT_NEAR(DiscountedMeanError(constant, places, 0.99, 50), 0, 1e-12)
      << "early blocks weigh more, which is no error";
  EXPECT_TRUE(std::isnan(DiscountedMeanError(constant, places, 0.99, 200))) << "one block";
  EXPECT_TRUE(std::isnan(DiscountedMeanError({}, {}, 0.99, 50)));
  // Two blocks, without discount, apart by 2: a half of that.
  const std::vector<double> apart = {1, 1, 3, 3};
  EXPECT_NEAR(DiscountedMeanError(apart, std::span(places).first(4), 1, 2), 1, 1e-12);
}

TEST(DiscountedMeanTest, WithoutStepsIsUnknown) {
  EXPECT_TRUE(std::isnan(DiscountedMean({}, {}, 0.9)));
}

}  // namespace
}  // namespace tandem::coadaptation
