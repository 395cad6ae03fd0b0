#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tandem {

/// A box of real numbers, one interval for each element.
struct BoxSpace {
  std::vector<float> low;   ///< [dim]; -infinity where there is no bound.
  std::vector<float> high;  ///< [dim]; +infinity where there is no bound.

  int64_t dim() const { return static_cast<int64_t>(low.size()); }
  bool operator==(const BoxSpace&) const = default;
};

/// What an environment looks like from outside.
struct EnvironmentSpec {
  std::string name;               ///< Registered name, such as "inverted_pendulum".
  BoxSpace observation;           ///< dim >= 1.
  BoxSpace action;                ///< dim >= 1, finite bounds.
  int64_t max_episode_steps = 0;  ///< [steps]; 0: no limit.

  bool operator==(const EnvironmentSpec&) const = default;
};

/// INVALID_ARGUMENT, saying what was expected and what came, unless the spec keeps the rules above
/// and low < high everywhere in the action space.
absl::Status Validate(const EnvironmentSpec& spec);

/// Where two specs differ first, for people: "observation high in element 1: expected inf, got 8".
/// Empty where they are equal.
std::string FirstDifference(const EnvironmentSpec& expected, const EnvironmentSpec& got);

}  // namespace tandem
