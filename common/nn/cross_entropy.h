#pragma once

#include <algorithm>
#include <cmath>

namespace tandem::nn {

/// Cross-entropy [nats] of a probability given by its logit, against a target in [0, 1], without
/// overflow for any finite logit. Pure.
inline double BinaryCrossEntropy(double logit, double target) {
  return std::max(logit, 0.0) - logit * target + std::log1p(std::exp(-std::abs(logit)));
}

}  // namespace tandem::nn
