#include "common/coadaptation/open_loop.h"

#include <cmath>
#include <limits>

#include "common/coadaptation/rank_correlation.h"

namespace tandem::coadaptation {

double StateDistance(std::span<const float> predicted, std::span<const float> real,
                     std::span<const double> sds) {
  double sum = 0;
  int count = 0;
  for (size_t i = 0; i < predicted.size(); ++i) {
    if (!(sds[i] > 0)) continue;
    const double z = (static_cast<double>(predicted[i]) - real[i]) / sds[i];
    sum += z * z;
    ++count;
  }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : std::sqrt(sum / count);
}

double OpenLoopGrowth(const std::array<double, kOpenLoopHorizons.size()>& errors) {
  std::vector<double> horizons;
  std::vector<double> logs;
  for (size_t i = 0; i < errors.size(); ++i) {
    if (!(errors[i] > 0)) continue;
    horizons.push_back(kOpenLoopHorizons[i]);
    logs.push_back(std::log(errors[i]));
  }
  return Slope(horizons, logs);
}

}  // namespace tandem::coadaptation
