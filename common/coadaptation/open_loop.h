#pragma once

#include <span>

namespace tandem::coadaptation {

/// Distance of two states in units of each element's standard deviation: root mean square over the
/// elements; those with sd 0 are left out, NaN where none is left. predicted, real, sds: [obs_dim].
/// Pure.
double StateDistance(std::span<const float> predicted, std::span<const float> real,
                     std::span<const double> sds);

}  // namespace tandem::coadaptation
