#include "common/coadaptation/return_scale.h"

#include <algorithm>
#include <cmath>

namespace tandem::coadaptation {
namespace {

constexpr double kLeast = 1e-3;         // of any scale
constexpr double kRelativeFloor = 0.1;  // of the first mean return
constexpr double kDeviationsFloor = 2;  // of the first episodes' returns

double StandardDeviation(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  double mean = 0;
  for (double value : values) mean += value / static_cast<double>(values.size());
  double squares = 0;
  for (double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace

void ReturnScale::AddEpisode(double episode_return) {
  if (first_episodes_.size() < kFirstEpisodes && std::isfinite(episode_return)) {
    first_episodes_.push_back(episode_return);
  }
}

void ReturnScale::AddMean(double mean_return) {
  if (!std::isfinite(mean_return)) return;
  if (std::isnan(first_)) first_ = best_ = mean_return;
  best_ = std::max(best_, mean_return);
}

double ReturnScale::scale() const {
  if (std::isnan(first_)) return first_;
  const double range = std::max({best_ - first_, kRelativeFloor * std::abs(first_),
                                 kDeviationsFloor * StandardDeviation(first_episodes_)});
  return range > 0 ? std::max(range, kLeast) : std::numeric_limits<double>::quiet_NaN();
}

double ReturnGap(double imagined_return, double real_return, double scale) {
  if (!(scale > 0)) return std::numeric_limits<double>::quiet_NaN();
  return (imagined_return - real_return) / scale;
}

}  // namespace tandem::coadaptation
