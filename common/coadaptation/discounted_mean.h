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

/// Standard error of DiscountedMean, of steps in the order in which they were taken: the steps fall
/// into blocks of `block_length`, see Blocks(), which are nearly independent of each other. Both
/// the weighted sum and the mass that it is divided by vary from block to block, so the error is
/// that of a ratio: with z the sum over a block of weight * (value - mean), less mean times the
/// block's share of the mass in terminal states,
///   error^2 = n / (n - 1) * sum over the n blocks of z^2 / mass^2.
/// NaN for fewer than 2 blocks, or where a value is NaN. Pure.
double DiscountedMeanError(std::span<const double> values, std::span<const StepPlace> places,
                           double discount, int64_t block_length);

}  // namespace tandem::coadaptation
