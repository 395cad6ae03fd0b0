#include "common/coadaptation/sentence.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace tandem::coadaptation {

namespace {

const Reading* Find(const Readings& readings, const std::string& name) {
  for (const Reading& reading : readings) {
    if (name == SignalName(reading.signal)) return &reading;
  }
  return nullptr;
}

/// The signal that tells most where none carries the verdict: the one with the largest value.
const Reading* Largest(const Readings& readings) {
  const Reading* largest = nullptr;
  for (const Reading& reading : readings) {
    if (std::isnan(reading.value)) continue;
    if (largest == nullptr || reading.value > largest->value) largest = &reading;
  }
  return largest;
}

std::string DescribeSource(const Checkpoint& checkpoint) {
  const double sign = checkpoint.index < 0 ? -1 : 1;
  const char* name = "the reward";
  double largest = sign * checkpoint.index_reward;
  if (sign * checkpoint.index_dynamics > largest) {
    largest = sign * checkpoint.index_dynamics;
    name = "the dynamics";
  }
  if (sign * checkpoint.index_termination > largest) {
    largest = sign * checkpoint.index_termination;
    name = "where episodes end";
  }
  if (!std::isfinite(largest)) return "";
  return absl::StrFormat("; most of it comes from %s (%.2f)", name, sign * largest);
}

std::string DescribeGapOver(int steps, double gap) {
  return absl::StrFormat(
      "over %d steps from real states the model promises %.2f of the return "
      "scale %s than came",
      steps, std::abs(gap), gap < 0 ? "less" : "more");
}

std::string DescribeReading(const Checkpoint& checkpoint, const Reading& reading) {
  switch (reading.signal) {
    case Signal::kBias:
      return absl::StrCat("step by step the policy looks ",
                          absl::StrFormat("%.2f", std::abs(reading.value)), " of the return scale ",
                          reading.value < 0 ? "worse" : "better", " in the model than it is");
    case Signal::kGap100:
      return DescribeGapOver(100, reading.value);
    case Signal::kGapEpisode:
      break;
  }
  const char* direction = reading.value < 0 ? "less" : "more";
  if (std::isfinite(checkpoint.model_return) && std::isfinite(checkpoint.real_return)) {
    return absl::StrFormat(
        "over whole episodes it returns %.4g in the model and %.4g in reality, %.2f of the return "
        "scale %s",
        checkpoint.model_return, checkpoint.real_return, std::abs(reading.value), direction);
  }
  return absl::StrFormat("over whole episodes the model promises %.2f of the return scale %s",
                         std::abs(reading.value), direction);
}

/// A warning on evidence that was confirmed and has not fallen yet.
bool IsLeftOver(const Judgement& judgement) {
  return judgement.verdict == Verdict::kWarning && judgement.evidence >= judgement.level;
}

const char* Opening(const Judgement& judgement) {
  switch (judgement.verdict) {
    case Verdict::kWarning:
      if (IsLeftOver(judgement)) {
        return "Warning on evidence that is confirmed and has not fallen yet: ";
      }
      return judgement.early ? "Early alarm, not confirmed: " : "Warning, not confirmed: ";
    case Verdict::kExploiting:
      return "The policy exploits errors of its model: ";
    case Verdict::kPessimistic:
      return "The model undersells the policy: ";
    default:
      return "No sign that the policy exploits its model: ";
  }
}

std::string DescribeEvidence(const Judgement& judgement, const Thresholds& thresholds) {
  const bool negative = judgement.verdict == Verdict::kPessimistic;
  if (IsLeftOver(judgement)) {
    return absl::StrFormat(
        " The evidence is %.3g still, carried by %s; an alarm takes %.3g and a value above the "
        "tolerance, %.2f.",
        judgement.evidence, judgement.signal, judgement.level, thresholds.tolerance);
  }
  if (judgement.verdict == Verdict::kWarning && judgement.early) {
    return absl::StrFormat(
        " The early evidence is %.3g, an early alarm takes %.3g, against a tolerance of %.2f; that "
        "against %.2f is %.3g, an alarm takes %.3g.",
        judgement.evidence_early, thresholds.early_alarm_interval, thresholds.warning,
        thresholds.tolerance, judgement.evidence, judgement.level);
  }
  return absl::StrFormat(" The evidence is %.3g, an alarm takes %.3g; the tolerance is %.2f.",
                         negative ? judgement.evidence_negative : judgement.evidence,
                         judgement.level, negative ? thresholds.undersold : thresholds.tolerance);
}

/// Clauses that say why a signal does not count, where there is something to say: that a gap is not
/// known (no episode ended) is no news.
std::string DescribeVoids(const Checkpoint& checkpoint, const Readings& readings) {
  for (const Reading& reading : readings) {
    if (reading.signal == Signal::kBias && !reading.why_not.empty() &&
        std::isfinite(checkpoint.index)) {
      return absl::StrCat(" Note that ", reading.why_not, ".");
    }
  }
  return "";
}

}  // namespace

std::string DescribeWarmUp(double number, const Thresholds& thresholds) {
  const double judged = std::isnan(number) ? 0 : number;
  return absl::StrFormat(
      "Warming up: %.0f of the first %d models judged; the test begins %s; early figures are no "
      "sign of harm.",
      judged, thresholds.warmup_refits,
      judged < thresholds.warmup_refits ? "after them" : "with the next");
}

std::string DescribeNothingCounts(const Readings& readings) {
  std::vector<std::string> why;
  for (const Reading& reading : readings) {
    const bool said = !why.empty() && why.back() == reading.why_not;
    if (!reading.why_not.empty() && !said) why.push_back(reading.why_not);
  }
  return absl::StrCat("No verdict on the newest model: ", absl::StrJoin(why, "; "), ".");
}

std::string DescribeJudgement(const Checkpoint& checkpoint, const Readings& readings,
                              const Judgement& judgement, const Thresholds& thresholds) {
  const Reading* reading = Find(readings, judgement.signal);
  if (reading == nullptr || std::isnan(reading->value)) reading = Largest(readings);
  std::string text = Opening(judgement);
  if (judgement.verdict == Verdict::kPessimistic) {
    absl::StrAppend(&text, DescribeGapOver(5, checkpoint.gap_5));
  } else if (reading != nullptr) {
    absl::StrAppend(&text, DescribeReading(checkpoint, *reading));
  }
  if (judgement.verdict != Verdict::kHealthy && !std::isnan(readings[0].value) &&
      std::abs(readings[0].value) > thresholds.warning) {
    absl::StrAppend(&text, DescribeSource(checkpoint));
  }
  absl::StrAppend(&text, ".");
  if (!judgement.warnings.empty()) {
    absl::StrAppend(&text, " Higher than this run's healthy checkpoints: ",
                    absl::StrJoin(judgement.warnings, ", "), ".");
  }
  return absl::StrCat(text, DescribeEvidence(judgement, thresholds),
                      DescribeVoids(checkpoint, readings));
}

}  // namespace tandem::coadaptation
