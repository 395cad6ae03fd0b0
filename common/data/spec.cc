#include "common/data/spec.h"

#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem {
namespace {

absl::Status ValidateShape(const BoxSpace& space, const char* which) {
  if (space.low.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(which, " space: expected dimension >= 1, got 0"));
  }
  if (space.high.size() != space.low.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(which, " space: expected as many upper as lower bounds (", space.low.size(),
                     "), got ", space.high.size()));
  }
  return absl::OkStatus();
}

absl::Status BadBounds(const char* which, size_t i, const BoxSpace& space, const char* expected) {
  return absl::InvalidArgumentError(absl::StrCat(which, " space: expected ", expected,
                                                 " in element ", i, ", got low = ", space.low[i],
                                                 ", high = ", space.high[i]));
}

template <typename T>
std::string Differs(const std::string& what, const T& expected, const T& got) {
  return absl::StrCat(what, ": expected ", expected, ", got ", got);
}

std::string FirstDifference(const char* which, const BoxSpace& expected, const BoxSpace& got) {
  if (expected.dim() != got.dim()) {
    return Differs(absl::StrCat(which, " size"), expected.dim(), got.dim());
  }
  for (size_t i = 0; i < expected.low.size(); ++i) {
    for (const auto& [end, ours, theirs] : {std::tuple{"low", expected.low[i], got.low[i]},
                                            {"high", expected.high[i], got.high[i]}}) {
      if (ours != theirs) {
        return Differs(absl::StrCat(which, " ", end, " in element ", i), ours, theirs);
      }
    }
  }
  return "";
}

}  // namespace

std::string FirstDifference(const EnvironmentSpec& expected, const EnvironmentSpec& got) {
  if (expected.name != got.name) return Differs("name", expected.name, got.name);
  std::string box = FirstDifference("observation", expected.observation, got.observation);
  if (box.empty()) box = FirstDifference("action", expected.action, got.action);
  if (!box.empty() || expected.max_episode_steps == got.max_episode_steps) return box;
  return Differs("max_episode_steps", expected.max_episode_steps, got.max_episode_steps);
}

absl::Status Validate(const EnvironmentSpec& spec) {
  if (spec.name.empty()) {
    return absl::InvalidArgumentError("environment spec: expected a name, got an empty one");
  }
  TANDEM_RETURN_IF_ERROR(ValidateShape(spec.observation, "observation"));
  TANDEM_RETURN_IF_ERROR(ValidateShape(spec.action, "action"));
  for (size_t i = 0; i < spec.observation.low.size(); ++i) {
    if (!(spec.observation.low[i] <= spec.observation.high[i])) {  // also where either is NaN
      return BadBounds("observation", i, spec.observation, "low <= high");
    }
  }
  for (size_t i = 0; i < spec.action.low.size(); ++i) {
    if (!std::isfinite(spec.action.low[i]) || !std::isfinite(spec.action.high[i])) {
      return BadBounds("action", i, spec.action, "finite bounds");
    }
    if (!(spec.action.low[i] < spec.action.high[i])) {
      return BadBounds("action", i, spec.action, "low < high");
    }
  }
  if (spec.max_episode_steps < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "environment spec: expected max_episode_steps >= 0, got ", spec.max_episode_steps));
  }
  return absl::OkStatus();
}

}  // namespace tandem
