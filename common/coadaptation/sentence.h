#pragma once

#include <string>

#include "common/coadaptation/signals.h"
#include "common/coadaptation/verdict.h"

namespace tandem::coadaptation {

/// Why there is no verdict yet, as a sentence; number: of the checkpoint. Pure.
std::string DescribeWarmUp(double number, const Thresholds& thresholds);

/// That no signal of the checkpoint counts, and why. Pure.
std::string DescribeNothingCounts(const Readings& readings);

/// The verdict with the figures behind it: what carries it, what is unusual, the evidence against
/// what is needed, and why the index does not count where it is known and does not. Pure.
std::string DescribeJudgement(const Checkpoint& checkpoint, const Readings& readings,
                              const Judgement& judgement, const Thresholds& thresholds);

}  // namespace tandem::coadaptation
