#include "common/coadaptation/two_sample.h"

#include <cmath>

#include <gtest/gtest.h>

#include "common/coadaptation/gaussian_score.h"
#include "common/coadaptation/logistic.h"

namespace tandem::coadaptation {
namespace {

/// [rows, 2] normals with this mean and deviation.
std::vector<float> Normals(int rows, double mean, double sd, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(2 * rows);
  for (float& x : out) x = static_cast<float>(mean + sd * rng.Normal());
  return out;
}

TEST(AreaUnderCurve, CountsPairs) {
  // Brute force: 3 over {1, 2, 3} is 2.5 of 3, 2 is 1.5 of 3.
  EXPECT_NEAR(AreaUnderCurve(std::vector<double>{3, 2}, std::vector<double>{1, 2, 3}), 4.0 / 6,
              1e-12);
  EXPECT_TRUE(std::isnan(AreaUnderCurve({}, std::vector<double>{1})));
  EXPECT_TRUE(std::isnan(AreaUnderCurve(std::vector<double>{NAN}, std::vector<double>{1})));
}

TEST(Logistic, FindsTheOddsOfATable) {
  // Without a feature that tells, the intercept is the log odds: ln 3.
  Logistic logistic;
  const std::vector<double> features = {0, 0, 0, 0};
  const std::vector<uint8_t> labels = {1, 1, 1, 0};
  logistic.Fit(features, labels, std::vector<int64_t>{0, 1, 2, 3}, 1, 1);
  EXPECT_NEAR(logistic.weights()[1], std::log(3), 1e-7);
  // With a ridge that vanishes, x = 1 has odds 3, x = -1 odds 1/3: weight ln 3, no intercept.
  const std::vector<double> x = {1, 1, 1, 1, -1, -1, -1, -1};
  const std::vector<uint8_t> y = {1, 1, 1, 0, 0, 0, 0, 1};
  logistic.Fit(x, y, std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}, 1, 1e-9);
  EXPECT_NEAR(logistic.weights()[0], std::log(3), 1e-6);
  EXPECT_NEAR(logistic.weights()[1], 0, 1e-6);
}

TEST(ClassifierTest, IsTheAreaOfTwoNormals) {
  // Both elements shifted by 1: the best direction parts them by sqrt(2), the area is Phi(1).
  Rng rng(1);
  const auto result = ClassifierTest(Normals(2000, 0, 1, 1), Normals(2000, 1, 1, 2), 2, rng);
  EXPECT_NEAR(result.auc, NormalCdf(1), 0.02);
  EXPECT_NEAR(ClassifierTest(Normals(1000, 0, 1, 1), Normals(1000, 0, 1, 2), 2, rng).auc, 0.5,
              0.05);
  // The same mean, twice as wide: only the squares tell.
  EXPECT_GT(ClassifierTest(Normals(1000, 0, 1, 1), Normals(1000, 0, 2, 2), 2, rng).auc, 0.7);
}

TEST(ClassifierTest, HasDefinedEdges) {
  Rng rng(1);
  EXPECT_TRUE(std::isnan(ClassifierTest({}, {}, 2, rng).auc));
  EXPECT_TRUE(std::isnan(ClassifierTest(Normals(4, 0, 1, 1), Normals(9, 0, 1, 1), 2, rng).auc));
  std::vector<float> broken = Normals(9, 0, 1, 1);
  broken[3] = NAN;
  EXPECT_TRUE(std::isnan(ClassifierTest(broken, Normals(9, 0, 1, 1), 2, rng).auc));
  const std::vector<float> constant(20, 0.1f);
  EXPECT_EQ(ClassifierTest(constant, constant, 2, rng).auc, 0.5);
}

TEST(EffectiveSampleShare, FallsWhenFewRowsCarryTheRatio) {
  EXPECT_NEAR(EffectiveSampleShare(std::vector<double>{0.5, 0.5, 0.5}), 1, 1e-12);
  // Weights 1 and 3: 16 / (2 * 10).
  EXPECT_NEAR(EffectiveSampleShare(std::vector<double>{0.5, 0.75}), 0.8, 1e-12);
  // Clipped weights 999 and 1/999: hardly more than one of two.
  EXPECT_NEAR(EffectiveSampleShare(std::vector<double>{1, 0}), 0.5, 1e-3);
  EXPECT_TRUE(std::isnan(EffectiveSampleShare({})));
  EXPECT_TRUE(std::isnan(EffectiveSampleShare(std::vector<double>{0.5, NAN})));
}

TEST(MaximumMeanDiscrepancy, KnowsAShift) {
  Rng rng(1);
  EXPECT_GT(MaximumMeanDiscrepancy(Normals(200, 0, 1, 1), Normals(200, 1, 1, 2), 2, rng), 5);
  int above = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const double same = MaximumMeanDiscrepancy(Normals(60, 0, 1, 100 + seed),
                                               Normals(60, 0, 1, 200 + seed), 2, rng);
    above += same > 1;
  }
  EXPECT_LE(above, 4);  // 5 % each: 5 or more of 20 have a chance of 0.3 %
}

TEST(MaximumMeanDiscrepancy, HasDefinedEdges) {
  Rng rng(1);
  EXPECT_TRUE(std::isnan(MaximumMeanDiscrepancy({}, {}, 2, rng)));
  const std::vector<float> constant(20, 1.0f);
  EXPECT_TRUE(std::isnan(MaximumMeanDiscrepancy(constant, constant, 2, rng)));
  std::vector<float> broken = Normals(9, 0, 1, 1);
  broken[3] = NAN;
  EXPECT_TRUE(std::isnan(MaximumMeanDiscrepancy(broken, Normals(9, 0, 1, 1), 2, rng)));
  // More rows than count: the first 512 decide.
  std::vector<float> many = Normals(512, 0, 1, 1);
  const std::vector<float> other = Normals(512, 0, 1, 2);
  Rng one(5);
  Rng two(5);
  const double first = MaximumMeanDiscrepancy(many, other, 2, one);
  many.insert(many.end(), {50, 50, 50, 50});
  EXPECT_EQ(MaximumMeanDiscrepancy(many, other, 2, two), first);
}

}  // namespace
}  // namespace tandem::coadaptation
