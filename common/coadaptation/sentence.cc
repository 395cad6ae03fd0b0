#include "common/coadaptation/sentence.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tandem::coadaptation {

std::string DescribeIndex(double index) {
  return absl::StrFormat("the policy looks %.2f of the return range %s in the model than it is",
                         std::abs(index), index < 0 ? "worse" : "better");
}

std::string DescribeSource(const Figures& figures) {
  const double sign = figures.index < 0 ? -1 : 1;
  const char* name = "the reward";
  double largest = sign * figures.index_reward;
  if (sign * figures.index_dynamics > largest) {
    largest = sign * figures.index_dynamics;
    name = "the dynamics";
  }
  if (sign * figures.index_termination > largest) {
    largest = sign * figures.index_termination;
    name = "where episodes end";
  }
  if (!std::isfinite(largest)) return "";
  return absl::StrFormat("; most of it comes from %s (%.2f)", name, sign * largest);
}

std::string DescribeGap(const Figures& figures) {
  if (std::isnan(figures.return_gap)) return "returns over whole episodes are not compared yet";
  return absl::StrFormat(
      "over whole episodes it returns %.4g in the model and %.4g in reality, %.2f of the range %s",
      figures.model_return, figures.real_return, std::abs(figures.return_gap),
      figures.return_gap < 0 ? "less" : "more");
}

std::string DescribeConfirmations(const Figures& figures, const Thresholds& thresholds) {
  const int above = figures.gaps_above_tolerance;
  if (above == 0) return "the last comparison is not above the tolerance.";
  const std::string last =
      above == 1 ? "the last comparison is above the tolerance"
                 : absl::StrCat("the last ", above, " comparisons are above the tolerance");
  return absl::StrCat(last, ", ", thresholds.gap_confirmations, " in a row decide.");
}

std::string DescribeWarmUp(const Figures& figures, const Thresholds& thresholds) {
  if (figures.refits < thresholds.warmup_refits) {
    return absl::StrCat("Warming up: ", figures.refits, " of ", thresholds.warmup_refits,
                        " model fits are in; early figures are no sign of harm.");
  }
  if (figures.window_steps < thresholds.min_window_steps) {
    return absl::StrCat("Warming up: ", figures.window_steps, " of ", thresholds.min_window_steps,
                        " steps that the model has not seen are scored.");
  }
  return "Warming up: no return of the policy is known yet to measure the model's errors by.";
}

}  // namespace tandem::coadaptation
