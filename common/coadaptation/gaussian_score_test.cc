#include "common/coadaptation/gaussian_score.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/rng.h"

namespace tandem::coadaptation {
namespace {

TEST(GaussianNll, IsMinusTheLogDensity) {
  EXPECT_NEAR(GaussianNll(1.3, 0.5, 2), 1.692085713764618, 1e-12);  // numpy
  EXPECT_TRUE(std::isnan(GaussianNll(1, 1, 0)));
  EXPECT_TRUE(std::isnan(GaussianNll(NAN, 1, 1)));
}

TEST(GaussianCrps, IsTheIntegralOfTheSquaredDistanceOfDistributions) {
  // By numerical integration of (F(x) - [x >= value])^2, numpy.
  EXPECT_NEAR(GaussianCrps(1.3, 0.5, 2), 0.59337463, 1e-5);
  EXPECT_NEAR(GaussianCrps(-3, 0, 1), 2.43658220, 1e-5);
  EXPECT_EQ(GaussianCrps(3, 1, 0), 2);
  EXPECT_TRUE(std::isnan(GaussianCrps(3, 1, -1)));
  EXPECT_TRUE(std::isnan(GaussianCrps(3, NAN, 1)));
}

TEST(Calibration, KnowsAHonestFromATooSureForecast) {
  Rng rng(1);
  std::vector<double> honest;
  std::vector<double> sure;
  for (int i = 0; i < 20000; ++i) {
    const double z = rng.Normal();
    honest.push_back(NormalCdf(z));
    sure.push_back(NormalCdf(3 * z));  // says a third of the true deviation
  }
  EXPECT_NEAR(CalibrationError(honest), 0, 1e-4);
  EXPECT_NEAR(Coverage90(honest), 0.9, 0.01);
  // Share within 1.645 / 3 deviations: 2 Phi(.5483) - 1.
  EXPECT_NEAR(Coverage90(sure), 2 * NormalCdf(1.6448536 / 3) - 1, 0.01);
  EXPECT_GT(CalibrationError(sure), 0.02);
}

TEST(Calibration, HasDefinedEdges) {
  // All mass below: shares are 1 at each p, so the mean of (1 - p)^2 = .3325.
  EXPECT_NEAR(CalibrationError(std::vector<double>{0, 0}), 0.3325, 1e-12);
  EXPECT_EQ(Coverage90(std::vector<double>{0, 0.5, 0.95, 1}), 0.5);
  EXPECT_TRUE(std::isnan(CalibrationError({})));
  EXPECT_TRUE(std::isnan(Coverage90({})));
  EXPECT_TRUE(std::isnan(CalibrationError(std::vector<double>{0.5, NAN})));
  EXPECT_TRUE(std::isnan(Coverage90(std::vector<double>{0.5, NAN})));
}

TEST(DiagonalGaussianKl, IsTheIntegralOfTheLogRatio) {
  const std::vector<float> mean = {0.3f, 1.0f};
  const std::vector<float> log_std = {-0.5f, 0.1f};
  const std::vector<float> other_mean = {-0.2f, 1.5f};
  const std::vector<float> other_log_std = {0.25f, -0.3f};
  // By numerical integration, numpy.
  EXPECT_NEAR(DiagonalGaussianKl(mean, log_std, other_mean, other_log_std), 0.87791673, 1e-6);
  EXPECT_NEAR(DiagonalGaussianKl(mean, log_std, mean, log_std), 0, 1e-12);
  EXPECT_EQ(DiagonalGaussianKl({}, {}, {}, {}), 0);
  const std::vector<float> unknown = {NAN, 1};
  EXPECT_TRUE(std::isnan(DiagonalGaussianKl(mean, log_std, unknown, log_std)));
}

}  // namespace
}  // namespace tandem::coadaptation
