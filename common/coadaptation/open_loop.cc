#include "common/coadaptation/open_loop.h"

#include <cmath>
#include <limits>

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

}  // namespace tandem::coadaptation
