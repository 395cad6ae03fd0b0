#include "common/coadaptation/model_error.h"

#include <cmath>
#include <limits>

namespace tandem::coadaptation {

void OutputScale::Add(std::span<const float> observation, std::span<const float> next_observation,
                      double reward) {
  if (count_ == 0) {
    means_.assign(observation.size() + 1, 0);
    squares_.assign(observation.size() + 1, 0);
  }
  ++count_;
  for (size_t i = 0; i < means_.size(); ++i) {
    const double x =
        i < observation.size() ? static_cast<double>(next_observation[i]) - observation[i] : reward;
    const double before = x - means_[i];
    means_[i] += before / static_cast<double>(count_);
    squares_[i] += before * (x - means_[i]);
  }
}

std::vector<double> OutputScale::StandardDeviations() const {
  std::vector<double> sds(squares_.size());
  for (size_t i = 0; i < sds.size(); ++i) {
    const double sd = std::sqrt(squares_[i] / static_cast<double>(count_));
    // Rounding alone gives a constant output a spread of about 1e-8 of its size.
    sds[i] = sd > 1e-7 * (1 + std::abs(means_[i])) ? sd : 0;
  }
  return sds;
}

double ErrorRatio(double fresh_rmse, double heldout_rmse) {
  if (!(heldout_rmse > 0)) return std::numeric_limits<double>::quiet_NaN();
  return fresh_rmse / heldout_rmse;
}

}  // namespace tandem::coadaptation
