#pragma once

#include <span>

#include "common/base/rng.h"
#include "common/dynamics/imagination.h"
#include "common/policy/policy.h"

namespace tandem::monitor {

/// How a policy acts in imagined rollouts; both outlive what is returned. noise: null for
/// deterministic actions.
inline dynamics::ActFunction ActBy(policy::Policy& policy, Rng* noise) {
  return [&policy, noise](std::span<const float> observations, std::span<float> actions) {
    return policy.Act(observations, noise, actions, {});
  };
}

}  // namespace tandem::monitor
