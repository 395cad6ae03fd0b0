#include "common/coadaptation/rank_correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tandem::coadaptation {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kRounding = 1e-24;

/// Sums of squares and products about the means.
struct Moments {
  double xx = 0;
  double xy = 0;
  double yy = 0;
};

Moments CentralMoments(std::span<const double> x, std::span<const double> y) {
  const double n = static_cast<double>(x.size());
  const double x_mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double y_mean = std::accumulate(y.begin(), y.end(), 0.0) / n;
  Moments moments;
  double x_raw = 0;
  double y_raw = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    x_raw += x[i] * x[i];
    y_raw += y[i] * y[i];
    moments.xx += (x[i] - x_mean) * (x[i] - x_mean);
    moments.xy += (x[i] - x_mean) * (y[i] - y_mean);
    moments.yy += (y[i] - y_mean) * (y[i] - y_mean);
  }
  // What rounding alone makes of a constant is no variance.
  if (moments.xx <= kRounding * x_raw) moments.xx = 0;
  if (moments.yy <= kRounding * y_raw) moments.yy = 0;
  return moments;
}

bool AnyNaN(std::span<const double> values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}

}  // namespace

std::vector<double> Ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) {
      ranks[order[i]] = 0.5 * static_cast<double>(begin + 1 + end);
    }
    begin = end;
  }
  return ranks;
}

double Correlation(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size() || x.size() < 2) return kNaN;
  const Moments m = CentralMoments(x, y);
  if (!(m.xx > 0) || !(m.yy > 0)) return kNaN;  // also where one is NaN
  return std::clamp(m.xy / std::sqrt(m.xx * m.yy), -1.0, 1.0);
}

double RankCorrelation(std::span<const double> x, std::span<const double> y) {
  if (AnyNaN(x) || AnyNaN(y)) return kNaN;
  return Correlation(Ranks(x), Ranks(y));
}

double Slope(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size() || x.size() < 2) return kNaN;
  const Moments m = CentralMoments(x, y);
  return m.xx > 0 ? m.xy / m.xx : kNaN;
}

}  // namespace tandem::coadaptation
