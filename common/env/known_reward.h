#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace tandem {

/// The reward of steps that end in `next_observations`, [B, obs_dim], into `out`, [B]: the
/// published reward of a task that pays by where a step ends, used in imagination where the model
/// is not to learn it. Pure.
using RewardFunction = void (*)(std::span<const float> next_observations, int64_t obs_dim,
                                std::span<float> out);

/// The reward function of a registered environment; FAILED_PRECONDITION where it publishes none,
/// NOT_FOUND where the name is unknown.
absl::StatusOr<RewardFunction> KnownReward(const std::string& name);

}  // namespace tandem
