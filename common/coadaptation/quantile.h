#pragma once

#include <span>
#include <vector>

namespace tandem::coadaptation {

/// Quantile q in [0, 1] with linear interpolation between order statistics (type 7 of Hyndman and
/// Fan 1996). NaN without values, where one of them is NaN, or q is outside [0, 1]. Pure.
double Quantile(std::vector<double> values, double q);

/// The middle value; see Quantile. Pure.
double Median(std::vector<double> values);

/// How far the best imagined rewards reach beyond the best real ones, on the scale of the real
/// ones:
///     1 + (Q99(imagined) - Q99(real)) / max(Q99(real) - Q1(real), 0.1 |Q99(real)|).
/// 1: just as far. For rewards from 0 on this is the ratio of the 99 % quantiles; rewards of one
/// sign or constant ones have a meaning, too. NaN where either is empty or has a NaN, or every real
/// reward is 0. Pure.
double RewardRange(const std::vector<double>& imagined, const std::vector<double>& real);

}  // namespace tandem::coadaptation
