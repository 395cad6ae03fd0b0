#include "common/base/log_sum_exp.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tandem {

double LogSumExp(std::span<const double> xs) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  const double largest = xs.empty() ? kNone : *std::max_element(xs.begin(), xs.end());
  if (largest == kNone) return kNone;
  double sum = 0;
  for (const double x : xs) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

}  // namespace tandem
