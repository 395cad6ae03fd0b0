#include "common/coadaptation/autocorrelation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tandem::coadaptation {
namespace {

constexpr double kWindow = 5;
constexpr int64_t kMinBlock = 50;
constexpr double kTimesPerBlock = 10;

}  // namespace

double AutocorrelationTime(std::span<const double> values) {
  const size_t n = values.size();
  if (n < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(n);
  std::vector<double> centred(values.begin(), values.end());
  for (double& value : centred) value -= mean;
  const auto product = [&](size_t lag) {
    return std::inner_product(centred.begin(), centred.end() - static_cast<int64_t>(lag),
                              centred.begin() + static_cast<int64_t>(lag), 0.0);
  };
  const double variance = product(0);
  if (std::isnan(variance)) return variance;
  if (variance == 0) return 1;
  double time = 1;
  for (size_t lag = 1; lag < n; ++lag) {
    time += 2 * product(lag) / variance;
    if (static_cast<double>(lag) >= kWindow * time) break;
  }
  return std::max(1.0, time);
}

int64_t BlockLength(double autocorrelation_time) {
  if (!std::isfinite(autocorrelation_time)) return kMinBlock;
  return std::max(kMinBlock,
                  static_cast<int64_t>(std::ceil(kTimesPerBlock * autocorrelation_time)));
}

std::vector<Block> Blocks(int64_t count, int64_t length) {
  std::vector<Block> blocks;
  for (int64_t begin = 0; begin + length <= count; begin += length) {
    blocks.push_back({begin, begin + length});
  }
  const int64_t rest = count % length;
  if (rest > 0 && (2 * rest >= length || blocks.empty())) blocks.push_back({count - rest, count});
  if (!blocks.empty()) blocks.back().end = count;
  return blocks;
}

}  // namespace tandem::coadaptation
