#include "common/coadaptation/mean_error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tandem::coadaptation {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

MeanError MeanAndError(std::span<const double> values) {
  const double n = static_cast<double>(values.size());
  if (values.empty()) return {kNaN, kNaN, kNaN};
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() < 2) return {mean, kNaN, kNaN};
  double squares = 0;
  for (double value : values) squares += (value - mean) * (value - mean);
  const double sd = std::sqrt(squares / (n - 1));
  return {mean, sd, sd / std::sqrt(n)};
}

double BranchedGap(double difference, int horizon, double episode_length, double scale) {
  if (!(scale > 0) || std::isnan(episode_length)) return kNaN;
  return difference * std::max(1.0, episode_length / horizon) / scale;
}

std::vector<double> ReturnsToGo(std::span<const float> rewards, double discount, double beyond) {
  std::vector<double> returns(rewards.size());
  for (size_t i = rewards.size(); i-- > 0;) {
    beyond = rewards[i] + discount * beyond;
    returns[i] = beyond;
  }
  return returns;
}

}  // namespace tandem::coadaptation
