#pragma once

#include <cstdint>
#include <span>

namespace tandem::coadaptation {

/// Where a step stands in its episode.
struct StepPlace {
  int64_t t = 0;            ///< Step within its episode, from 0.
  bool terminated = false;  ///< Reached a terminal state.
};

/// Mean of `values` over the discounted occupancy of the policy that took the steps: step t of an
/// episode weighs discount^t, and an episode that terminated goes on for ever in a terminal state
/// where the value is 0 (so that short episodes do not count for more than long ones; what lies
/// beyond a truncation is unknown and left out). Over whole episodes that end in a terminal state
/// this is exactly (1 - discount) times the mean over episodes of the sum of discount^t * value.
///
/// values and places: one for each step, in any order. Weights are taken relative to the earliest
/// t, so a stretch of a long episode does not vanish. NaN where there are no steps. Pure.
double DiscountedMean(std::span<const double> values, std::span<const StepPlace> places,
                      double discount);

}  // namespace tandem::coadaptation
