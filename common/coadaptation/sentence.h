#pragma once

#include <string>

#include "common/coadaptation/signals.h"
#include "common/coadaptation/verdict.h"

namespace tandem::coadaptation {

/// "the policy looks 0.31 of the return range better in the model than it is", or worse. Pure.
std::string DescribeIndex(double index);

/// "; most of it comes from the dynamics", naming the largest part of the index. Pure.
std::string DescribeSource(const Figures& figures);

/// "over whole episodes it returns 412 in the model and 310 in reality, 0.25 of the range more", or
/// that this is not known yet. Pure.
std::string DescribeGap(const Figures& figures);

/// "the last 2 comparisons are above the tolerance, 3 in a row decide.", or that the last is not.
/// Pure.
std::string DescribeConfirmations(const Figures& figures, const Thresholds& thresholds);

/// Why there is no verdict yet, as a sentence. Pure.
std::string DescribeWarmUp(const Figures& figures, const Thresholds& thresholds);

/// Why there is no verdict yet, as a sentence; number: of the checkpoint. Pure.
std::string DescribeWarmUp(double number, const Thresholds& thresholds);

/// That no signal of the checkpoint counts, and why. Pure.
std::string DescribeNothingCounts(const Readings& readings);

/// The verdict with the figures behind it: what carries it, the evidence against what is needed,
/// what is unusual, and which signals do not count and why. Pure.
std::string DescribeJudgement(const Checkpoint& checkpoint, const Readings& readings,
                              const Judgement& judgement, const Thresholds& thresholds);

}  // namespace tandem::coadaptation
