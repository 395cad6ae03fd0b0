#include "common/coadaptation/evidence.h"

#include <cmath>
#include <numeric>

namespace tandem::coadaptation {
namespace {

// Evidence beyond this tells nothing more; without a limit it would reach infinity, and an infinite
// process never comes back down.
constexpr double kMost = 1e100;

}  // namespace

void Evidence::Update(std::span<const double> values) {
  bool begun = false;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    double x = (value - options_.tolerance) / options_.bound;
    ++memory_.updates;
    if (x < -1) {
      x = -1;
      ++memory_.clipped;
    }
    for (size_t i = 0; i < kBets.size(); ++i) {
      double& m = memory_.state[i];
      m = std::fmin(kMost, (1 + kBets[i] * x) * (m + (begun ? 0 : 1)));
    }
    begun = true;
  }
}

void Evidence::Reset() { memory_.state.fill(0); }

double Evidence::value() const {
  return std::accumulate(memory_.state.begin(), memory_.state.end(), 0.0) /
         static_cast<double>(kBets.size());
}

}  // namespace tandem::coadaptation
