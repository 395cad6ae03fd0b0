#pragma once

#include <cstddef>
#include <cstdint>

namespace tandem::coadaptation {

/// What the figures are held against: every constant of a verdict. Shares are in units of the
/// return scale S.
struct Thresholds {
  // Confirmed: see VerdictProcess.
  double tolerance = 0.2;             ///< Share by which imagined return may exceed real return.
  double false_alarm_interval = 200;  ///< Evidence at which an alarm is confirmed [checkpoints].
  /// The same after an action, until the alarm is cleared, where it is less: whether it helped is
  /// another question than whether there is harm.
  double repeat_interval = 5;
  /// Values below tolerance - bound are clipped, see EvidenceOptions.
  double bound = 0.1;
  /// By how much the model may undersell the policy over a few steps, as a share of S. Half the
  /// tolerance: such gaps of healthy runs stay within a few hundredths.
  double undersold = 0.1;

  // What counts.
  double residual_limit = 0.5;     ///< |residual| above which the index does not count.
  double clipped_limit = 0.01;     ///< Share of clipped steps above which the index does not count.
  int64_t warmup_refits = 3;       ///< First checkpoints, which are not judged.
  int64_t min_window_steps = 100;  ///< Fresh steps behind an index that counts [steps].
  double stale_seconds = 120;      ///< Age above which a judgement is stale [s] ...
  double stale_intervals = 3;      ///< ... and this many times the time between checkpoints.

  // Early alarm: against `warning`, with a bound of half of it.
  double early_alarm_interval = 20;  ///< Evidence at which an alarm is early [checkpoints].

  // Warning.
  double warning = 0.1;            ///< Share above which one signal is enough to warn.
  double healthy_quantile = 0.99;  ///< Of the run's own healthy checkpoints, to compare with.
  size_t healthy_least = 8;        ///< Healthy checkpoints before that is done.
  size_t healthy_most = 200;       ///< The newest that are held.
  int unusual_needed = 2;          ///< Figures above it that warn together.

  // Clean again.
  double clean_share = 0.5;  ///< Of the tolerance: clean below it ...
  double clean_z = 1.2816;   ///< ... with this many standard errors added: a 90 % upper bound.
  /// Checkpoints in a row without a signal above tolerance that end an alarm.
  int clear_after = 3;
};

}  // namespace tandem::coadaptation
