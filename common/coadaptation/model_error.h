#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem::coadaptation {

/// Standard deviation of each output of a model (the change of each observation element, then the
/// reward) over the steps seen: the unit of its errors. Welford's recurrence. Not thread-safe.
class OutputScale {
 public:
  /// observation, next_observation: [obs_dim]; the first call decides obs_dim.
  void Add(std::span<const float> observation, std::span<const float> next_observation,
           double reward);

  /// Standard deviations, [obs_dim + 1], the reward's last; 0 for an output that never varied;
  /// empty before the first step.
  std::vector<double> StandardDeviations() const;

 private:
  int64_t count_ = 0;
  std::vector<double> means_;    // [obs_dim + 1]
  std::vector<double> squares_;  // [obs_dim + 1] sums of squared deviations
};

/// Root mean squared error on fresh steps over that on held-out steps: how much worse the model is
/// where the policy goes now. About 1 where the two are alike; it also rises with harmless novelty.
/// NaN unless both are known and the held-out one is positive. Pure.
double ErrorRatio(double fresh_rmse, double heldout_rmse);

}  // namespace tandem::coadaptation
