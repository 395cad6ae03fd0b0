#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/thresholds.h"

namespace tandem::coadaptation {

/// What an alarm may rest on: how much more the model promises than came, by horizon. Beginning
/// with the earliest, ending with the truest size.
enum class Signal { kBias, kGap100, kGapEpisode };
inline constexpr std::array<Signal, 3> kSignals = {Signal::kBias, Signal::kGap100,
                                                   Signal::kGapEpisode};
/// "bias", "gap_100", "gap_episode".
const char* SignalName(Signal signal);
/// What tells that a model undersells the policy: the gap over 5 steps, from below.
inline constexpr char kUndersoldSignal[] = "gap_5";

/// One signal of one checkpoint.
struct Reading {
  Signal signal = Signal::kBias;
  double value = Checkpoint::kNaN;  ///< In units of S; NaN: it does not count here.
  double error = Checkpoint::kNaN;  ///< Standard error, where it is known.
  std::string why_not;              ///< A clause that says why it does not count; else empty.
  /// What the evidence takes, one after the other: the value, or the means of parts of what it is
  /// the mean of; empty where it does not count.
  std::vector<double> parts;
};
using Readings = std::array<Reading, kSignals.size()>;

/// Reads the signals of a checkpoint. The bias counts only where enough fresh steps are behind it,
/// where the critic fits the model (a critic that lags behind hides the model's errors) and where
/// few steps were clipped or not finite. The episode gap has up to five parts: episodes that agree
/// say more than one. Pure.
Readings ReadSignals(const Checkpoint& checkpoint, const Thresholds& thresholds);

/// How much better the policy looks in its model than it is, in one number: the mean of the two
/// longest gaps, of those that are known; NaN where neither is. In docs/coadaptation_study.md it
/// tells exploitation from health best. Pure.
double ExploitationScore(const Checkpoint& checkpoint);

/// The largest value that counts; NaN where none does. Pure.
double LargestValue(const Readings& readings);

/// Whether some signal counts, and every one that does is below clean_share of the tolerance, with
/// clean_z standard errors added. Pure.
bool IsClean(const Readings& readings, const Thresholds& thresholds);

/// Figures that rise before harm is done, and often without: warnings only.
struct Unusual {
  const char* name;                        ///< For texts and files.
  double (*read)(const Checkpoint& from);  ///< Larger is worse; NaN where it is not known.
};
inline constexpr size_t kUnusualFigures = 5;
/// error_ratio, c2st_auc, open_loop_growth (of the logarithm of the open-loop error, per step),
/// missed_coverage (1 - coverage of the 90 % interval) and policy_shift.
const std::array<Unusual, kUnusualFigures>& UnusualFigures();
using UnusualValues = std::array<double, kUnusualFigures>;
UnusualValues ReadUnusual(const Checkpoint& checkpoint);

/// The quantile q of the finite values of one figure, see Quantile; NaN where there are fewer than
/// `least`. Pure.
double QuantileOf(const std::deque<UnusualValues>& healthy, size_t figure, double q, size_t least);

}  // namespace tandem::coadaptation
