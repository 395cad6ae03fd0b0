#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/rng.h"

namespace tandem::coadaptation {

/// Area under the ROC curve: the chance that a positive scores above a negative, ties half. NaN
/// where one side is empty or a score is NaN. Pure.
double AreaUnderCurve(std::span<const double> positives, std::span<const double> negatives);

/// What a classifier makes of two samples; see ClassifierTest.
struct ClassifierResult {
  double auc;  ///< Held-out; about 0.5 where the samples are alike, 1 where they are apart.
  std::vector<double> first;   ///< P(second | row) of each row of the first sample, held out.
  std::vector<double> second;  ///< The same for the second.
};

/// Classifier two-sample test (Lopez-Paz and Oquab 2017): a logistic regression on the elements and
/// their squares (up to 32 elements; above, the elements alone), standardised, with a ridge; each
/// row is scored by the one of 5 fits that has not seen it. first, second: [rows, dim]. The folds
/// are drawn from rng. auc NaN where a sample has fewer than 5 rows or a number is not finite; rows
/// that are all alike give 0.5.
ClassifierResult ClassifierTest(std::span<const float> first, std::span<const float> second,
                                int64_t dim, Rng& rng);

/// Effective sample size of the density ratio, as a share: (sum w)^2 / (n sum w^2) with
/// w = p / (1 - p), p clipped to [.001, .999]. probabilities: P(real | row) at rows of the other
/// sample. 1: the ratio is even; small: few rows carry it. 1 / share - 1 estimates the chi^2
/// divergence. NaN without rows or where one is NaN. Pure.
double EffectiveSampleShare(std::span<const double> probabilities);

/// Maximum mean discrepancy with a Gaussian kernel, its bandwidth the median distance (Gretton et
/// al. 2012): the unbiased MMD^2 over the 95 % quantile of what 100 random splits of both samples
/// together give. Above 1 the samples differ. first, second: [rows, dim], standardised elementwise
/// here; only the first 512 rows of each count. NaN where one has fewer than 2 rows, a number is
/// not finite, or all rows are alike. Cost: rows^2 (dim + permutations).
double MaximumMeanDiscrepancy(std::span<const float> first, std::span<const float> second,
                              int64_t dim, Rng& rng);

}  // namespace tandem::coadaptation
