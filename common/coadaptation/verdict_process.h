#pragma once

#include <algorithm>
#include <deque>

#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/evidence.h"
#include "common/coadaptation/signal_evidence.h"
#include "common/coadaptation/signals.h"
#include "common/coadaptation/thresholds.h"
#include "common/coadaptation/verdict.h"

namespace tandem::coadaptation {

/// What a VerdictProcess needs to go on after a restart, beside LearnHealthy() for the checkpoints
/// that it judged before.
struct VerdictMemory {
  SignalEvidence::Memory signals;
  SignalEvidence::Memory early;
  Evidence::Memory negative;
  bool repeated = false;
};

/// Judges one checkpoint after another, in three tiers.
///
/// Confirmed. Each signal has an evidence process of its own, fed by each checkpoint; what counts
/// is the mean over the signals fed so far, which has the same bound on false alarms as each of
/// them, however they depend on each other. EXPLOITING: that mean is at least level(), and some
/// signal is above the tolerance now; the one with the most evidence carries the verdict.
/// PESSIMISTIC: the mirrored evidence of the gap over 5 steps is, against a tolerance and a bound
/// of `undersold`, and that gap is below minus it now. Longer gaps do not count here: imagined
/// returns over long horizons are often low in healthy training; the bias takes a critic. The
/// verdict is never both: exploiting goes first.
///
/// Early. The same evidence against the warning threshold, with a bound of half of it, is at least
/// early_alarm_interval, and some signal is above that threshold now: sooner, and with a lower
/// bound on the time to a false one. A confirmed alarm is an early one, too.
///
/// Warning. The alarm is early, or one signal is above the warning threshold, or unusual_needed
/// figures of UnusualFigures() are above what the run itself showed while the signals were low, or
/// evidence that was confirmed has not fallen yet. No rate is promised for warnings that are not
/// early.
///
/// The first warmup_refits checkpoints are not judged (WARMING_UP), nor are later ones where no
/// signal counts (VOID, as is a monitor that came back without its evidence, until the next
/// checkpoint): the sentence says why. docs/adr/0006 says how far the bound holds. Not thread-safe.
class VerdictProcess {
 public:
  explicit VerdictProcess(const Thresholds& thresholds);

  /// checkpoint.number: 1 for the first of the run.
  Judgement Judge(const Checkpoint& checkpoint);
  /// After an action, or the end of an alarm, the past no longer tells: the evidence begins anew.
  /// repeated: the alarm goes on, so that repeat_interval is enough to confirm it again.
  void Reset(bool repeated);
  /// Evidence that confirms an alarm now.
  double level() const {
    const double first = thresholds_.false_alarm_interval;
    return repeated_ ? std::min(thresholds_.repeat_interval, first) : first;
  }
  /// Takes a checkpoint whose signals are low for what is usual in this run; Judge() does it too.
  /// Healthy means harmless here: a drift that does no harm is learned, or it would warn for ever.
  void LearnHealthy(const Checkpoint& checkpoint);

  VerdictMemory memory() const;
  void Restore(const VerdictMemory& memory);

 private:
  void Feed(const Readings& readings, const Checkpoint& checkpoint);
  /// Names of the unusual figures; then learns from the checkpoint.
  std::vector<std::string> FindUnusual(const Checkpoint& checkpoint);
  Verdict Decide(const Checkpoint& checkpoint, const Judgement& judgement) const;
  std::string Carrier(const Readings& readings, Verdict verdict) const;
  double WarningScore(const Readings& readings, size_t unusual) const;

  const Thresholds thresholds_;
  SignalEvidence evidence_;
  SignalEvidence early_;
  Evidence negative_;
  bool repeated_ = false;
  std::deque<UnusualValues> healthy_;
};

/// Stale: no checkpoint for stale_seconds and for stale_intervals times the time between the last
/// two [s] (NaN: not known). Pure.
bool IsStale(double age_seconds, double interval_seconds, const Thresholds& thresholds);

}  // namespace tandem::coadaptation
