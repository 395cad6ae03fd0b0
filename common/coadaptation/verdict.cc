#include "common/coadaptation/verdict.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/coadaptation/sentence.h"

namespace tandem::coadaptation {
namespace {

std::string Signed(double share) { return absl::StrFormat("%+.2f", share); }

bool GapExploits(const Figures& figures, const Thresholds& thresholds) {
  return figures.return_gap > thresholds.tolerance &&
         figures.gaps_above_tolerance >= thresholds.gap_confirmations;
}

Verdict Decide(const Figures& figures, const Thresholds& thresholds, bool index_counts) {
  if ((index_counts && figures.index > thresholds.tolerance) || GapExploits(figures, thresholds)) {
    return Verdict::kExploiting;
  }
  if (index_counts && figures.index < -thresholds.tolerance) return Verdict::kPessimistic;
  if ((index_counts && figures.index > thresholds.warning) ||
      figures.return_gap > thresholds.warning) {
    return Verdict::kWarning;
  }
  return Verdict::kHealthy;
}

std::string Opening(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHealthy:
      return "No sign that the policy exploits its model: ";
    case Verdict::kWarning:
      return "Model and reality begin to part: ";
    case Verdict::kExploiting:
      return "The policy exploits errors of its model: ";
    case Verdict::kPessimistic:
      return "The model undersells the policy: ";
    default:
      return "";
  }
}

/// Why a model that undersells whole episodes changes nothing; empty where it does not.
std::string Excuse(const Figures& figures, const Thresholds& thresholds, Verdict verdict) {
  if (verdict == Verdict::kPessimistic || !(figures.return_gap < -thresholds.tolerance)) return "";
  return " That the model promises less over whole episodes is common in healthy training and "
         "counts "
         "for nothing.";
}

/// Which limit the figures are held against.
std::string Closing(Verdict verdict, const Thresholds& thresholds) {
  if (verdict == Verdict::kWarning) {
    return absl::StrFormat(" The warning threshold is %.2f, the tolerance %.2f.",
                           thresholds.warning, thresholds.tolerance);
  }
  return absl::StrFormat(" The tolerance is %.2f.", thresholds.tolerance);
}

std::string Explain(const Figures& figures, const Thresholds& thresholds, bool index_counts,
                    Verdict verdict) {
  if (!index_counts) {
    const std::string why =
        std::isnan(figures.residual)
            ? "The index is not known yet, so whole episodes decide: "
            : absl::StrFormat(
                  "The index (%s) does not count while the critic is %.2f of the return range away "
                  "from its own model, so whole episodes decide: ",
                  Signed(figures.index), std::abs(figures.residual));
    return absl::StrCat(Opening(verdict), DescribeGap(figures), ". ", why,
                        DescribeConfirmations(figures, thresholds),
                        Excuse(figures, thresholds, verdict), Closing(verdict, thresholds));
  }
  std::string text = absl::StrCat(Opening(verdict), DescribeIndex(figures.index));
  if (verdict != Verdict::kHealthy) absl::StrAppend(&text, DescribeSource(figures));
  absl::StrAppend(&text, "; ", DescribeGap(figures), ".");
  if (figures.return_gap > thresholds.tolerance && !GapExploits(figures, thresholds)) {
    absl::StrAppend(
        &text, " That gap alone does not decide yet: ", DescribeConfirmations(figures, thresholds));
  }
  return absl::StrCat(text, Excuse(figures, thresholds, verdict), Closing(verdict, thresholds));
}

}  // namespace

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWarmingUp:
      return "warming_up";
    case Verdict::kHealthy:
      return "healthy";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kExploiting:
      return "exploiting";
    case Verdict::kPessimistic:
      return "pessimistic";
    case Verdict::kStale:
      return "stale";
  }
  return "unknown";
}

Judgement Judge(const Figures& figures, const Thresholds& thresholds) {
  if (figures.age_seconds > thresholds.stale_seconds) {
    return {Verdict::kStale,
            absl::StrFormat("The figures are %.0f s old, too old to judge by (limit %.0f s): no "
                            "steps that the model has not seen have come since.",
                            figures.age_seconds, thresholds.stale_seconds)};
  }
  const bool warm = figures.age_seconds >= 0 && figures.refits >= thresholds.warmup_refits &&
                    figures.window_steps >= thresholds.min_window_steps;
  const bool index_counts = std::isfinite(figures.index) && std::isfinite(figures.residual) &&
                            std::abs(figures.residual) <= thresholds.residual_limit;
  if (!warm || (std::isnan(figures.index) && std::isnan(figures.return_gap))) {
    return {Verdict::kWarmingUp, DescribeWarmUp(figures, thresholds)};
  }
  if (!index_counts && std::isnan(figures.return_gap)) {
    return {
        Verdict::kWarmingUp,
        absl::StrFormat("No verdict yet: the critic is %.2f of the return range away from its own "
                        "model, so the index (%s) does not count, and returns over whole "
                        "episodes are not compared yet.",
                        std::abs(figures.residual), Signed(figures.index))};
  }
  const Verdict verdict = Decide(figures, thresholds, index_counts);
  return {verdict, Explain(figures, thresholds, index_counts, verdict)};
}

}  // namespace tandem::coadaptation
