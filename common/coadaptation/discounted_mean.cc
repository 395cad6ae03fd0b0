#include "common/coadaptation/discounted_mean.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tandem::coadaptation {

double DiscountedMean(std::span<const double> values, std::span<const StepPlace> places,
                      double discount) {
  if (places.empty()) return std::numeric_limits<double>::quiet_NaN();
  int64_t first = places[0].t;
  for (const StepPlace& place : places) first = std::min(first, place.t);
  double sum = 0;
  double mass = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    const double weight = std::pow(discount, static_cast<double>(places[i].t - first));
    sum += weight * values[i];
    mass += weight;
    if (places[i].terminated && discount < 1) mass += weight * discount / (1 - discount);
  }
  return sum / mass;
}

}  // namespace tandem::coadaptation
