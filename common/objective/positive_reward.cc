#include "common/objective/positive_reward.h"

#include <algorithm>
#include <cmath>

namespace tandem::objective {
namespace {

/// log(log(1 + e^x)). Below kLinear, log(1 + e^x) is e^x to the last digit.
double LogSoftplus(double x) {
  constexpr double kLinear = -36;
  if (x < kLinear) return x;
  return std::log(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))));
}

}  // namespace

double PositiveReward::Log(double reward) const {
  double log_positive = 0;
  switch (transform) {
    case RewardTransform::kShift:
      return std::log(std::max(reward + shift, min_reward) / terminal_reward);
    case RewardTransform::kExp:
      log_positive = reward / scale;
      break;
    case RewardTransform::kSoftplus:
      log_positive = LogSoftplus(reward / scale);
      break;
  }
  return std::max(log_positive, std::log(min_reward)) - std::log(terminal_reward);
}

}  // namespace tandem::objective
