#include "common/objective/log_ratio.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::objective {
namespace {

/// Rows at once: enough for each member of an ensemble, few enough for a bounded scratch.
constexpr int64_t kBlockRows = 4096;

/// Share of the lowest mean logit from which on one counts as that.
constexpr double kNearly = 0.95;

}  // namespace

absl::Status Validate(const LogRatioOptions& o) {
  if (!(o.lower <= o.upper) || !std::isfinite(o.lower) || !std::isfinite(o.upper)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "log-ratio: expected finite lower <= upper, got [", o.lower, ", ", o.upper, "]"));
  }
  if (!(o.tolerance >= 0) || !std::isfinite(o.tolerance)) {
    return absl::InvalidArgumentError(
        absl::StrCat("log-ratio: expected a tolerance >= 0, got ", o.tolerance));
  }
  if (!(o.state_tolerance >= 0) || !std::isfinite(o.state_tolerance)) {
    return absl::InvalidArgumentError(
        absl::StrCat("log-ratio: expected a state_tolerance >= 0, got ", o.state_tolerance));
  }
  if (!(o.best_logit > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("log-ratio: expected a best_logit above 0, got ", o.best_logit));
  }
  if (o.samples < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("log-ratio: expected at least 1 sample, got ", o.samples));
  }
  return absl::OkStatus();
}

void LogRatioFigures::Add(const LogRatioFigures& other) {
  rows += other.rows;
  sum += other.sum;
  state_sum += other.state_sum;
  at_lower += other.at_lower;
  at_upper += other.at_upper;
}

absl::Status LogRatioEstimator::Estimate(std::span<const float> observations,
                                         std::span<const float> actions,
                                         std::span<const float> next_observations, Rng& rng,
                                         std::span<float> log_ratios, LogRatioFigures* figures) {
  const int64_t rows = static_cast<int64_t>(log_ratios.size());
  const int64_t obs = model_.obs_dim(), act = model_.action_dim();
  if (static_cast<int64_t>(observations.size()) != rows * obs ||
      static_cast<int64_t>(actions.size()) != rows * act ||
      next_observations.size() != observations.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("log-ratio: expected ", rows, " rows of observations [", obs, "], actions [",
                     act, "] and next observations, got ", observations.size(), ", ",
                     actions.size(), " and ", next_observations.size(), " numbers"));
  }
  for (int64_t first = 0; first < rows; first += kBlockRows) {
    if (stopped_ && stopped_()) return absl::CancelledError("log-ratio: stopped");
    const int64_t count = std::min(kBlockRows, rows - first);
    TANDEM_RETURN_IF_ERROR(EstimateBlock(observations.subspan(first * obs, count * obs),
                                         actions.subspan(first * act, count * act),
                                         next_observations.subspan(first * obs, count * obs), rng,
                                         log_ratios.subspan(first, count)));
  }
  const auto lower = static_cast<float>(options_.lower), upper = static_cast<float>(options_.upper);
  const auto tolerance = static_cast<float>(options_.tolerance);
  const double lowest = std::max(options_.lower - options_.tolerance, -options_.best_logit);
  // With the tolerance, as what it is held against; -infinite where nothing can be paid.
  const double nearly =
      lowest < 0 ? kNearly * lowest + options_.tolerance : -std::numeric_limits<double>::infinity();
  LogRatioFigures seen;
  for (float& x : log_ratios) {
    const float raw = std::isfinite(x) ? x + tolerance : -std::numeric_limits<float>::infinity();
    x = std::clamp(raw, lower, upper);
    seen.at_lower += x > raw || (x == raw && raw <= nearly) ? 1 : 0;
    seen.at_upper += x < raw ? 1 : 0;
    seen.sum += x;
    ++seen.rows;
  }
  if (states_ != nullptr) {
    TANDEM_ASSIGN_OR_RETURN(seen.state_sum, AddStates(next_observations, log_ratios));
    seen.sum += seen.state_sum;
  }
  if (figures != nullptr) figures->Add(seen);
  return absl::OkStatus();
}

absl::Status LogRatioEstimator::EstimateBlock(std::span<const float> observations,
                                              std::span<const float> actions,
                                              std::span<const float> next_observations, Rng& rng,
                                              std::span<float> log_ratios) {
  TANDEM_RETURN_IF_ERROR(classifier_.Logits(observations, actions, next_observations, log_ratios));
  logits_.resize(log_ratios.size());
  for (int sample = 1; sample < options_.samples; ++sample) {
    TANDEM_RETURN_IF_ERROR(model_.Step(observations, actions, rng, &step_));
    TANDEM_RETURN_IF_ERROR(
        classifier_.Logits(observations, actions, step_.next_observations, logits_));
    for (size_t i = 0; i < logits_.size(); ++i) log_ratios[i] += logits_[i];
  }
  for (float& x : log_ratios) x /= static_cast<float>(options_.samples);
  return absl::OkStatus();
}

absl::StatusOr<double> LogRatioEstimator::AddStates(std::span<const float> next_observations,
                                                    std::span<float> log_ratios) {
  const auto lower = static_cast<float>(options_.lower);
  const auto tolerance = static_cast<float>(options_.state_tolerance);
  const int64_t rows = static_cast<int64_t>(log_ratios.size()), obs = model_.obs_dim();
  double added = 0;
  for (int64_t first = 0; first < rows; first += kBlockRows) {
    if (stopped_ && stopped_()) return absl::CancelledError("log-ratio: stopped");
    const int64_t count = std::min(kBlockRows, rows - first);
    logits_.resize(count);
    TANDEM_RETURN_IF_ERROR(
        states_->Logits(next_observations.subspan(first * obs, count * obs), logits_));
    for (int64_t i = 0; i < count; ++i) {
      float& x = log_ratios[first + i];
      const float raw = std::isfinite(logits_[i]) ? logits_[i] + tolerance : lower;
      const float priced = std::max(lower, x + std::min(0.F, raw));
      added += priced - x;
      x = priced;
    }
  }
  return added;
}

}  // namespace tandem::objective
