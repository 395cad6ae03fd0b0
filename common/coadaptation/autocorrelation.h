#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem::coadaptation {

/// Integrated autocorrelation time 1 + 2 sum rho(k) of a series [steps], >= 1, summed over the lags
/// up to the first window M >= 5 tau(M) (Sokal 1997). 1 for a constant series; NaN for fewer than 2
/// values or where one is NaN. Cost: length times lags. Pure.
double AutocorrelationTime(std::span<const double> values);

/// Length of a block whose mean is nearly independent of the next one's: 10 autocorrelation times,
/// at least 50 steps; 50 where the time is not known. Pure.
int64_t BlockLength(double autocorrelation_time);

/// Consecutive steps: [begin, end).
struct Block {
  int64_t begin = 0;
  int64_t end = 0;
  bool operator==(const Block&) const = default;
};

/// `count` steps in successive blocks of `length`; a rest of at least half a block is a block of
/// its own, or the only one; a shorter rest joins the last block. Empty for no steps. length >= 1.
/// Pure.
std::vector<Block> Blocks(int64_t count, int64_t length);

}  // namespace tandem::coadaptation
