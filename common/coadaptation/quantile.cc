#include "common/coadaptation/quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tandem::coadaptation {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

double Quantile(std::vector<double> values, double q) {
  const auto is_nan = [](double x) { return std::isnan(x); };
  if (values.empty() || !(q >= 0 && q <= 1) || std::any_of(values.begin(), values.end(), is_nan)) {
    return kNaN;
  }
  const double place = q * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(place);
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const double low = values[below];
  const double share = place - static_cast<double>(below);
  if (share == 0) return low;
  const double high = *std::min_element(values.begin() + below + 1, values.end());
  return low + share * (high - low);
}

double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }

double RewardRange(const std::vector<double>& imagined, const std::vector<double>& real) {
  const double top = Quantile(real, 0.99);
  const double unit = std::max(top - Quantile(real, 0.01), 0.1 * std::abs(top));
  if (!(unit > 0)) return kNaN;
  return 1 + (Quantile(imagined, 0.99) - top) / unit;
}

}  // namespace tandem::coadaptation
