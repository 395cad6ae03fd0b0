#include "common/coadaptation/evidence.h"

#include <cmath>
#include <limits>
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
    ++updates_;
    if (x < -1) {
      x = -1;
      ++clipped_;
    }
    for (size_t i = 0; i < kBets.size(); ++i) {
      m_[i] = std::fmin(kMost, (1 + kBets[i] * x) * (m_[i] + (begun ? 0 : 1)));
    }
    begun = true;
  }
}

void Evidence::Reset() { m_.fill(0); }

double Evidence::value() const {
  return std::accumulate(m_.begin(), m_.end(), 0.0) / static_cast<double>(m_.size());
}

double Evidence::log10() const {
  const double now = value();
  return now > 0 ? std::log10(now) : std::numeric_limits<double>::quiet_NaN();
}

void Evidence::Restore(const std::array<double, 6>& state, int64_t updates, int64_t clipped) {
  m_ = state;
  updates_ = updates;
  clipped_ = clipped;
}

}  // namespace tandem::coadaptation
