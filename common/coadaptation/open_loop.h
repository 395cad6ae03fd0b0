#pragma once

#include <array>
#include <span>
#include <vector>

#include "common/coadaptation/checkpoint.h"

namespace tandem::coadaptation {

/// Distance of two states in units of each element's standard deviation: root mean square over the
/// elements; those with sd 0 are left out, NaN where none is left. predicted, real, sds: [obs_dim].
/// Pure.
double StateDistance(std::span<const float> predicted, std::span<const float> real,
                     std::span<const double> sds);

/// Growth of the open-loop error a step: slope of its logarithm over the horizon
/// (kOpenLoopHorizons). 0: it does not grow. Errors that are not positive are left out; NaN for
/// fewer than 2. Pure.
double OpenLoopGrowth(const std::array<double, kOpenLoopHorizons.size()>& errors);

}  // namespace tandem::coadaptation
