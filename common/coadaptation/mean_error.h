#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem::coadaptation {

/// A mean and how far it may be off.
struct MeanError {
  double mean;   ///< NaN without values or where one is NaN.
  double sd;     ///< Standard deviation of the values (n - 1); NaN for fewer than 2.
  double error;  ///< Standard error of the mean, sd / sqrt(n); NaN for fewer than 2.
};

/// Pure.
MeanError MeanAndError(std::span<const double> values);

/// Gap of returns over k steps, as if it went on like that for a whole episode, in units of the
/// return scale: difference * max(1, episode_length / horizon) / scale. The factor is at least 1,
/// for where episodes are shorter than the horizon both sums have ended already. NaN where a figure
/// is NaN or the scale is not positive. Pure.
double BranchedGap(double difference, int horizon, double episode_length, double scale);

/// Discounted returns to go of one stretch of consecutive steps, with the value `beyond` of what
/// follows the last one (0 after a terminal state): G_t = r_t + discount G_{t+1}. Pure.
std::vector<double> ReturnsToGo(std::span<const float> rewards, double discount, double beyond);

}  // namespace tandem::coadaptation
