#pragma once

#include <span>
#include <vector>

#include "common/base/rng.h"
#include "common/data/spec.h"
#include "common/env/vector_environment.h"

namespace tandem {

/// Draws an action uniformly between the space's bounds into `action`, [space.dim()].
void DrawAction(const BoxSpace& space, Rng& rng, std::span<float> action);

/// One for each environment, [num_envs, action_dim].
std::vector<float> RandomActions(const VectorEnvironment& env, Rng& rng);

}  // namespace tandem
