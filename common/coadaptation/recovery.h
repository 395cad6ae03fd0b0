#pragma once

#include <deque>
#include <map>
#include <optional>

#include "common/coadaptation/attribution.h"
#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/knob.h"

namespace tandem::coadaptation {

/// Watches the real return while knobs go back. A model that is too poor to learn from need not
/// look better than reality: with imagined rows in a batch again the policy can get worse while the
/// gap stays near 0, and no alarm comes. So once a knob has gone a step back, what a checkpoint
/// returns less than before it is summed up, in units of the return scale S, less a slack for noise
/// (Page 1954: g <- max(0, g + (reference - return) / S - slack)); beyond a limit the run has
/// relapsed. The reference is the best mean return over some checkpoints before a step back, since
/// the way back began. Not watched are knobs that no alarm turned, and those that end by themselves
/// (policy_pause).
///
/// Each relapse, be it by the return or by an alarm while a knob was on its way back, doubles the
/// number of clean checkpoints before the next step.
///
/// Plain, so that it can be kept over a restart. Deterministic. Not thread-safe.
struct Recovery {
  std::map<Knob, double> tight;  ///< Where the newest action against exploitation put each knob.
  std::optional<Knob> eased;     ///< The knob that went a step back last; it is in `tight`.
  std::deque<double> returns;    ///< Newest real returns, oldest first.
  double reference = Checkpoint::kNaN;  ///< NaN while no knob went back.
  double updates = Checkpoint::kNaN;    ///< In the policy before the newest step back ...
  double returned = Checkpoint::kNaN;   ///< ... and the mean return by then.
  double lost = 0;                      ///< Page's statistic of the return lost since [S].
  int relapses = 0;                     ///< Since healthy.

  /// Takes the real return of one checkpoint in; one without it, or without a return scale, tells
  /// nothing. checkpoints: over so many the reference is a mean.
  void Take(const Checkpoint& checkpoint, int checkpoints, const MitigationOptions& options);
  /// An action against exploitation put the knob there: the way back, if there was one, ends, and
  /// that it took an action is a relapse.
  void Tightened(Knob knob, double value);
  /// The way back, if there was one, ends.
  void EndWayBack();
  /// The knob went one step back, with so many updates in the policy.
  void Eased(Knob knob, double policy_updates);
  /// The knob is not the controller's any more: held by hand or refused.
  void Forget(Knob knob);

  /// The return fell: `eased` is to be turned to where it was.
  bool Relapsed(const MitigationOptions& options) const;
  /// Clean checkpoints in a row before the next step back. clean_checkpoints: before any relapse.
  int Wait(int clean_checkpoints) const;
};

}  // namespace tandem::coadaptation
