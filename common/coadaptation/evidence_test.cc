#include "common/coadaptation/evidence.h"

#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/rng.h"

namespace tandem::coadaptation {
namespace {

/// Updates until the evidence reaches `level`, at most `most`.
int64_t RunLength(const EvidenceOptions& options, double level, int64_t most,
                  const std::function<double()>& draw) {
  Evidence evidence(options);
  for (int64_t n = 1; n <= most; ++n) {
    evidence.Update(draw());
    if (evidence.value() >= level) return n;
  }
  return most;
}

double MeanRunLength(const EvidenceOptions& options, double level, int runs,
                     const std::function<double()>& draw) {
  double sum = 0;
  for (int run = 0; run < runs; ++run) {
    sum += static_cast<double>(RunLength(options, level, 20'000, draw));
  }
  return sum / runs;
}

TEST(EvidenceTest, FollowsTheRecurrence) {
  Evidence evidence({.tolerance = 0.2, .bound = 0.5});
  EXPECT_EQ(evidence.value(), 0);
  evidence.Update(0.45);  // x = 0.5
  evidence.Update(0.1);   // x = -0.2
  double mean = 0;
  for (const double bet : Evidence::kBets) {
    mean += (1 - 0.2 * bet) * ((1 + 0.5 * bet) * (0 + 1) + 1) / Evidence::kBets.size();
  }
  EXPECT_NEAR(evidence.value(), mean, 1e-12);
  EXPECT_EQ(evidence.memory().updates, 2);
  EXPECT_EQ(evidence.memory().clipped, 0);
}

TEST(EvidenceTest, SeveralValuesOfACheckpointBeginAnewOnce) {
  Evidence evidence({.tolerance = 0.2, .bound = 0.5});
  evidence.Update(0.45);
  const std::vector<double> values = {0.45, std::nan(""), 0.1};
  evidence.Update(values);
  double mean = 0;
  for (const double bet : Evidence::kBets) {
    mean += (1 - 0.2 * bet) * (1 + 0.5 * bet) * ((1 + 0.5 * bet) + 1) / Evidence::kBets.size();
  }
  EXPECT_NEAR(evidence.value(), mean, 1e-12);
  EXPECT_EQ(evidence.memory().updates, 3);
  evidence.Update(std::vector<double>{});
  EXPECT_NEAR(evidence.value(), mean, 1e-12) << "no checkpoint";
}

TEST(EvidenceTest, ClipsBelowAndCountsItButNotAbove) {
  Evidence evidence({.tolerance = 0.2, .bound = 0.5});
  evidence.Update(-9);
  EXPECT_EQ(evidence.memory().clipped, 1);
  EXPECT_NEAR(evidence.memory().state[5], 0.05, 1e-12);  // 1 - 0.95
  evidence.Reset();
  evidence.Update(5.2);  // x = 10
  EXPECT_NEAR(evidence.memory().state[5], 10.5, 1e-12);
  EXPECT_EQ(evidence.memory().clipped, 1);
}

TEST(EvidenceTest, UnknownValuesAreLeftOut) {
  Evidence evidence({});
  evidence.Update(0.4);
  const double before = evidence.value();
  evidence.Update(std::nan(""));
  EXPECT_EQ(evidence.value(), before);
  EXPECT_EQ(evidence.memory().updates, 1);
}

TEST(EvidenceTest, ResetForgetsThePastButNotTheCounts) {
  Evidence evidence({});
  for (int i = 0; i < 20; ++i) evidence.Update(1);
  evidence.Reset();
  EXPECT_EQ(evidence.value(), 0);
  EXPECT_EQ(evidence.memory().updates, 20);
}

TEST(EvidenceTest, RestoreGoesOnWhereItStopped) {
  Evidence one({});
  Evidence other({});
  for (int i = 0; i < 7; ++i) one.Update(0.1 * i);
  other.Restore(one.memory());
  one.Update(0.6);
  other.Update(0.6);
  EXPECT_EQ(one.value(), other.value());
  EXPECT_EQ(one.memory().updates, other.memory().updates);
}

TEST(EvidenceTest, StaysFiniteAndComesBackDown) {
  Evidence evidence({});
  for (int i = 0; i < 5000; ++i) evidence.Update(1e6);
  EXPECT_TRUE(std::isfinite(evidence.value()));
  for (int i = 0; i < 50'000; ++i) evidence.Update(-1);
  EXPECT_LT(evidence.value(), 200);
}

// The guarantee is a mean run length of at least A. The bound is nearly tight for mixtures of
// Shiryaev-Roberts detectors, so the means below are held against A minus three standard errors of
// an exponential run length, and stand well above it only by the overshoot.
TEST(EvidenceTest, MeanRunLengthUnderTheNullIsAtLeastTheInterval) {
  Rng rng(11);
  const EvidenceOptions options;
  constexpr double kLevel = 200;
  constexpr int kRuns = 400;
  const double margin = kLevel * (1 - 3 / std::sqrt(kRuns));
  // At the edge of the null: the mean of max(value, 0.1) is the tolerance, 0.2.
  EXPECT_GE(MeanRunLength(options, kLevel, kRuns, [&] { return rng.Normal() * 0.36; }), margin);
  EXPECT_GE(MeanRunLength(options, kLevel, kRuns, [&] { return rng.Uniform(0, 0.373); }), margin);
  // With a wide bound it is about the mean itself.
  const EvidenceOptions wide{.tolerance = 0.2, .bound = 1.5};
  EXPECT_GE(MeanRunLength(wide, kLevel, kRuns, [&] { return rng.Normal() * 0.3 + 0.2; }), margin);
  EXPECT_GE(MeanRunLength(wide, kLevel, kRuns, [&] { return rng.Uniform(-0.3, 0.7); }), margin);
}

TEST(EvidenceTest, TheIntervalIsInCheckpointsHoweverManyValuesEachBrings) {
  Rng rng(15);
  constexpr double kLevel = 100;
  constexpr int kRuns = 400;
  double checkpoints = 0;
  for (int run = 0; run < kRuns; ++run) {
    Evidence evidence({});
    for (int n = 0; n < 20'000 && evidence.value() < kLevel; ++n, ++checkpoints) {
      const std::vector<double> halves = {rng.Normal() * 0.36, rng.Normal() * 0.36};
      evidence.Update(halves);
    }
  }
  EXPECT_GE(checkpoints / kRuns, kLevel * (1 - 3 / std::sqrt(kRuns)));
}

TEST(EvidenceTest, RareLargeValuesDoNotBreakTheGuarantee) {
  Rng rng(12);
  constexpr double kLevel = 200;
  constexpr int kRuns = 400;
  // One value in fifty is 5 S; the mean is 0.2: 0.98 * 0.1020 + 0.02 * 5.
  const double mean =
      MeanRunLength({}, kLevel, kRuns, [&] { return rng.Uniform() < 0.02 ? 5.0 : 0.1 / 0.98; });
  EXPECT_GE(mean, kLevel * (1 - 3 / std::sqrt(kRuns)));
}

TEST(EvidenceTest, NoGapRaisesPracticallyNoAlarm) {
  Rng rng(13);
  EXPECT_GT(MeanRunLength({}, 200, 20, [&] { return rng.Normal() * 0.1; }), 10'000);
}

TEST(EvidenceTest, FindsALargeGapWithinAFewCheckpoints) {
  Rng rng(14);
  EXPECT_LT(MeanRunLength({}, 200, 200, [&] { return rng.Normal() * 0.2 + 1.0; }), 5);
  EXPECT_LT(MeanRunLength({}, 200, 200, [&] { return rng.Normal() * 0.2 + 0.5; }), 11);
}

}  // namespace
}  // namespace tandem::coadaptation
