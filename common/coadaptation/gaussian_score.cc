#include "common/coadaptation/gaussian_score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace tandem::coadaptation {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kRootTwoPi = 2.5066282746310002;

bool Unusable(std::span<const double> values) {
  return values.empty() ||
         std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}

}  // namespace

double NormalCdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

double GaussianNll(double value, double mean, double sd) {
  if (!(sd > 0)) return kNaN;
  const double z = (value - mean) / sd;
  return 0.5 * z * z + std::log(sd * kRootTwoPi);
}

double GaussianCrps(double value, double mean, double sd) {
  if (sd == 0) return std::abs(value - mean);
  if (!(sd > 0)) return kNaN;
  const double z = (value - mean) / sd;
  const double density = std::exp(-0.5 * z * z) / kRootTwoPi;
  return sd * (z * (2 * NormalCdf(z) - 1) + 2 * density - std::numbers::inv_sqrtpi);
}

double CalibrationError(std::span<const double> transforms) {
  if (Unusable(transforms)) return kNaN;
  double sum = 0;
  for (int i = 0; i < 10; ++i) {
    const double p = 0.05 + 0.1 * i;
    const auto below = std::count_if(transforms.begin(), transforms.end(),
                                     [p](double value) { return value <= p; });
    const double share = static_cast<double>(below) / static_cast<double>(transforms.size());
    sum += (p - share) * (p - share);
  }
  return sum / 10;
}

double Coverage90(std::span<const double> transforms) {
  if (Unusable(transforms)) return kNaN;
  const auto inside = std::count_if(transforms.begin(), transforms.end(),
                                    [](double value) { return value >= 0.05 && value <= 0.95; });
  return static_cast<double>(inside) / static_cast<double>(transforms.size());
}

double DiagonalGaussianKl(std::span<const float> now_mean, std::span<const float> now_log_std,
                          std::span<const float> then_mean, std::span<const float> then_log_std) {
  double sum = 0;
  for (size_t i = 0; i < now_mean.size(); ++i) {
    const double log_ratio = static_cast<double>(then_log_std[i]) - now_log_std[i];
    const double distance = (static_cast<double>(now_mean[i]) - then_mean[i]) /
                            std::exp(static_cast<double>(then_log_std[i]));
    sum += log_ratio + 0.5 * (std::exp(-2 * log_ratio) + distance * distance - 1);
  }
  return sum;
}

}  // namespace tandem::coadaptation
