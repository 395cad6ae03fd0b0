#pragma once

#include <span>

namespace tandem {

/// log(sum of exp(x)), by way of the largest, so that nothing overflows; -infinity where there is
/// none, or all are. Pure.
double LogSumExp(std::span<const double> xs);

}  // namespace tandem
