#include "common/coadaptation/return_scale.h"

#include <algorithm>
#include <cmath>

namespace tandem::coadaptation {

void ReturnScale::Add(double real_return) {
  if (!std::isfinite(real_return)) return;
  if (std::isnan(first_)) first_ = best_ = real_return;
  best_ = std::max(best_, real_return);
}

double ReturnScale::scale() const {
  if (std::isnan(first_)) return first_;
  return std::max({best_ - first_, floor_, relative_floor_ * std::abs(first_)});
}

double ReturnGap(double imagined_return, double real_return, double scale) {
  if (!(scale > 0)) return std::numeric_limits<double>::quiet_NaN();
  return (imagined_return - real_return) / scale;
}

}  // namespace tandem::coadaptation
