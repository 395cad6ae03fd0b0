#include "common/coadaptation/verdict_process.h"

#include <algorithm>
#include <cmath>

#include "common/coadaptation/sentence.h"

namespace tandem::coadaptation {

VerdictProcess::VerdictProcess(const Thresholds& thresholds)
    : thresholds_(thresholds),
      evidence_({thresholds.tolerance, thresholds.bound}),
      early_({thresholds.warning, thresholds.warning / 2}),
      negative_({thresholds.undersold, thresholds.undersold}) {}

Judgement VerdictProcess::Judge(const Checkpoint& checkpoint) {
  Judgement judgement;
  const Readings readings = ReadSignals(checkpoint, thresholds_);
  const bool warm = checkpoint.number > static_cast<double>(thresholds_.warmup_refits);
  const bool counts = !std::isnan(LargestValue(readings));
  if (warm && counts) Feed(readings, checkpoint);
  judgement.evidence = evidence_.value();
  judgement.evidence_early = early_.value();
  judgement.evidence_negative = negative_.value();
  judgement.level = level();
  if (!warm || !counts) {
    if (warm) judgement.verdict = Verdict::kVoid;
    judgement.sentence =
        warm ? DescribeNothingCounts(readings) : DescribeWarmUp(checkpoint.number, thresholds_);
    return judgement;
  }
  judgement.largest = LargestValue(readings);
  judgement.warnings = FindUnusual(checkpoint);
  judgement.warning_score = WarningScore(readings, judgement.warnings.size());
  judgement.clean = IsClean(readings, thresholds_);
  judgement.verdict = Decide(checkpoint, judgement);
  judgement.early = judgement.verdict == Verdict::kExploiting ||
                    (judgement.evidence_early >= thresholds_.early_alarm_interval &&
                     judgement.largest > thresholds_.warning);
  judgement.signal = Carrier(readings, judgement.verdict);
  judgement.sentence = DescribeJudgement(checkpoint, readings, judgement, thresholds_);
  return judgement;
}

void VerdictProcess::Reset(bool repeated) {
  repeated_ = repeated;
  evidence_.Reset();
  early_.Reset();
  negative_.Reset();
}

void VerdictProcess::Feed(const Readings& readings, const Checkpoint& checkpoint) {
  evidence_.Update(readings);
  early_.Update(readings);
  negative_.Update(-checkpoint.gap_5);
}

std::vector<std::string> VerdictProcess::FindUnusual(const Checkpoint& checkpoint) {
  const UnusualValues values = ReadUnusual(checkpoint);
  std::vector<std::string> names;
  for (size_t i = 0; i < values.size(); ++i) {
    const double usual =
        QuantileOf(healthy_, i, thresholds_.healthy_quantile, thresholds_.healthy_least);
    if (values[i] > usual) names.push_back(UnusualFigures()[i].name);
  }
  LearnHealthy(checkpoint);
  return names;
}

void VerdictProcess::LearnHealthy(const Checkpoint& checkpoint) {
  const bool warm = checkpoint.number > static_cast<double>(thresholds_.warmup_refits);
  if (!warm || !(LargestValue(ReadSignals(checkpoint, thresholds_)) <= thresholds_.warning)) return;
  healthy_.push_back(ReadUnusual(checkpoint));
  if (healthy_.size() > thresholds_.healthy_most) healthy_.pop_front();
}

Verdict VerdictProcess::Decide(const Checkpoint& checkpoint, const Judgement& judgement) const {
  const double largest = judgement.largest;
  const bool confirmed = judgement.evidence >= level();
  if (confirmed && largest > thresholds_.tolerance) return Verdict::kExploiting;
  if (judgement.evidence_negative >= level() && checkpoint.gap_5 < -thresholds_.undersold) {
    return Verdict::kPessimistic;
  }
  const bool unusual = static_cast<int>(judgement.warnings.size()) >= thresholds_.unusual_needed;
  return confirmed || unusual || largest > thresholds_.warning ? Verdict::kWarning
                                                               : Verdict::kHealthy;
}

std::string VerdictProcess::Carrier(const Readings& readings, Verdict verdict) const {
  if (verdict == Verdict::kPessimistic) return kUndersoldSignal;
  if (verdict != Verdict::kExploiting && verdict != Verdict::kWarning) return "";
  const double limit =
      verdict == Verdict::kExploiting ? thresholds_.tolerance : thresholds_.warning;
  const auto strongest = [&](const auto& counts) -> std::string {
    std::string carrier;
    double most = -1;
    for (size_t i = 0; i < readings.size(); ++i) {
      if (!counts(readings[i]) || evidence_.value(i) <= most) continue;
      most = evidence_.value(i);
      carrier = SignalName(readings[i].signal);
    }
    return carrier;
  };
  const std::string above = strongest([limit](const Reading& r) { return r.value > limit; });
  if (!above.empty() || evidence_.value() < level()) return above;
  // Confirmed, and it has not fallen yet: what made it so.
  return strongest([](const Reading&) { return true; });
}

double VerdictProcess::WarningScore(const Readings& readings, size_t unusual) const {
  const double harm = std::clamp(LargestValue(readings) / thresholds_.tolerance, 0.0, 1.0);
  return std::max(harm, static_cast<double>(unusual) / kUnusualFigures);
}

VerdictMemory VerdictProcess::memory() const {
  VerdictMemory memory;
  memory.signals = evidence_.memory();
  memory.early = early_.memory();
  memory.negative = negative_.memory();
  memory.repeated = repeated_;
  return memory;
}

void VerdictProcess::Restore(const VerdictMemory& memory) {
  evidence_.Restore(memory.signals);
  early_.Restore(memory.early);
  negative_.Restore(memory.negative);
  repeated_ = memory.repeated;
}

bool IsStale(double age_seconds, double interval_seconds, const Thresholds& thresholds) {
  const double slow =
      std::isnan(interval_seconds) ? 0 : thresholds.stale_intervals * interval_seconds;
  return age_seconds > std::max(thresholds.stale_seconds, slow);
}

}  // namespace tandem::coadaptation
