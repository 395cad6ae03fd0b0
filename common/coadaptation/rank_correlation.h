#pragma once

#include <span>
#include <vector>

namespace tandem::coadaptation {

/// Ranks from 1, ties share the mean of theirs. Pure.
std::vector<double> Ranks(std::span<const double> values);

/// Pearson's correlation, in [-1, 1]. NaN for fewer than 2 pairs, unequal lengths, a NaN, or where
/// one side is constant. Pure.
double Correlation(std::span<const double> x, std::span<const double> y);

/// Spearman's: the correlation of the ranks. Same conditions. Pure.
double RankCorrelation(std::span<const double> x, std::span<const double> y);

/// Slope of the least-squares line of y over x, in units of y per unit of x. Same conditions, but
/// that y may be constant (slope 0). Pure.
double Slope(std::span<const double> x, std::span<const double> y);

}  // namespace tandem::coadaptation
