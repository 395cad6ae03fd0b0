#include "common/coadaptation/signals.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/coadaptation/quantile.h"

namespace tandem::coadaptation {
namespace {

double Mean(const std::vector<double>& values) {
  double sum = 0;
  int known = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++known;
  }
  return known > 0 ? sum / known : Checkpoint::kNaN;
}

/// A clause that says why a figure is not known.
std::string NotKnown(const char* figure, const Checkpoint& checkpoint) {
  if (std::isnan(checkpoint.return_scale) && std::isnan(checkpoint.index)) {
    return "no return but 0 has come so far, so that there is no range to measure in";
  }
  return absl::StrFormat("%s is not known", figure);
}

std::string WhyBiasDoesNotCount(const Checkpoint& checkpoint, const Thresholds& thresholds) {
  if (!std::isfinite(checkpoint.index)) return NotKnown("the index", checkpoint);
  // Histories of before scored_steps was recorded have the fresh steps alone.
  const double steps =
      std::isnan(checkpoint.scored_steps) ? checkpoint.fresh_steps : checkpoint.scored_steps;
  if (!(steps >= static_cast<double>(thresholds.min_window_steps))) {
    return absl::StrFormat(
        "the index rests on %.0f steps that the model has not seen, %d are needed",
        std::isnan(steps) ? 0 : steps, thresholds.min_window_steps);
  }
  if (checkpoint.clipped_share > thresholds.clipped_limit) {
    return absl::StrFormat(
        "the index (%+.2f) does not count, for %.1f %% of its steps were clipped or not finite "
        "(limit %.1f %%)",
        checkpoint.index, 100 * checkpoint.clipped_share, 100 * thresholds.clipped_limit);
  }
  if (!std::isfinite(checkpoint.residual)) return "the critic's residual is not known";
  if (std::abs(checkpoint.residual) > thresholds.residual_limit) {
    return absl::StrFormat(
        "the index (%+.2f) does not count while the critic is %.2f of the return scale away from "
        "its own model (limit %.2f)",
        checkpoint.index, std::abs(checkpoint.residual), thresholds.residual_limit);
  }
  return "";
}

Reading ReadGap(Signal signal, const Checkpoint& checkpoint, double value, double error,
                std::vector<double> parts) {
  if (std::isfinite(value)) return {signal, value, error, "", std::move(parts)};
  return {signal, Checkpoint::kNaN, Checkpoint::kNaN, NotKnown(SignalName(signal), checkpoint), {}};
}

/// The parts where there are some, else the mean itself.
Reading ReadEpisodes(const Checkpoint& c) {
  std::vector<double> parts;
  for (const auto part : kEpisodeParts) {
    if (std::isfinite(c.*part)) parts.push_back(c.*part);
  }
  if (parts.empty()) parts = {c.gap_episode};
  return ReadGap(Signal::kGapEpisode, c, c.gap_episode, c.gap_episode_error, std::move(parts));
}

double OpenLoopGrowth(const Checkpoint& c) {
  const double errors[] = {c.open_loop_1, c.open_loop_5, c.open_loop_10, c.open_loop_20};
  for (size_t i = kOpenLoopHorizons.size() - 1; i > 0; --i) {
    if (!(errors[i] > 0) || !(errors[0] > 0)) continue;
    return std::log(errors[i] / errors[0]) / (kOpenLoopHorizons[i] - kOpenLoopHorizons[0]);
  }
  return Checkpoint::kNaN;
}

}  // namespace

const char* SignalName(Signal signal) {
  switch (signal) {
    case Signal::kBias:
      return "bias";
    case Signal::kGap100:
      return "gap_100";
    case Signal::kGapEpisode:
      return "gap_episode";
  }
  return "unknown";
}

Readings ReadSignals(const Checkpoint& checkpoint, const Thresholds& thresholds) {
  Readings readings = {Reading{Signal::kBias,
                               Checkpoint::kNaN,
                               Checkpoint::kNaN,
                               WhyBiasDoesNotCount(checkpoint, thresholds),
                               {}},
                       ReadGap(Signal::kGap100, checkpoint, checkpoint.gap_100, Checkpoint::kNaN,
                               {checkpoint.gap_100}),
                       ReadEpisodes(checkpoint)};
  if (readings[0].why_not.empty()) {
    readings[0].value = checkpoint.index;
    readings[0].error = checkpoint.index_error;
    readings[0].parts = {checkpoint.index};
  }
  return readings;
}

double ExploitationScore(const Checkpoint& checkpoint) {
  return Mean({checkpoint.gap_100, checkpoint.gap_episode});
}

double LargestValue(const Readings& readings) {
  double largest = Checkpoint::kNaN;
  for (const Reading& reading : readings) largest = std::fmax(largest, reading.value);
  return largest;
}

bool IsClean(const Readings& readings, const Thresholds& thresholds) {
  double upper = Checkpoint::kNaN;
  for (const Reading& reading : readings) {
    const double error = std::isfinite(reading.error) ? reading.error : 0;
    upper = std::fmax(upper, reading.value + thresholds.clean_z * error);
  }
  return upper < thresholds.clean_share * thresholds.tolerance;
}

const std::array<Unusual, kUnusualFigures>& UnusualFigures() {
  static constexpr std::array<Unusual, kUnusualFigures> kFigures = {{
      {"error_ratio", [](const Checkpoint& c) { return c.error_ratio; }},
      {"c2st_auc", [](const Checkpoint& c) { return c.c2st_auc; }},
      {"open_loop_growth", OpenLoopGrowth},
      {"missed_coverage", [](const Checkpoint& c) { return 1 - c.coverage_onpolicy; }},
      {"policy_shift", [](const Checkpoint& c) { return c.policy_shift; }},
  }};
  return kFigures;
}

UnusualValues ReadUnusual(const Checkpoint& checkpoint) {
  UnusualValues values;
  for (size_t i = 0; i < kUnusualFigures; ++i) values[i] = UnusualFigures()[i].read(checkpoint);
  return values;
}

double QuantileOf(const std::deque<UnusualValues>& healthy, size_t figure, double q, size_t least) {
  std::vector<double> known;
  for (const UnusualValues& values : healthy) {
    if (std::isfinite(values[figure])) known.push_back(values[figure]);
  }
  return known.size() < least ? Checkpoint::kNaN : Quantile(std::move(known), q);
}

}  // namespace tandem::coadaptation
