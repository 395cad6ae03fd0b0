#include "common/env/random_actions.h"

namespace tandem {

void DrawAction(const BoxSpace& space, Rng& rng, std::span<float> action) {
  for (size_t j = 0; j < action.size(); ++j) {
    action[j] = static_cast<float>(rng.Uniform(space.low[j], space.high[j]));
  }
}

std::vector<float> RandomActions(const VectorEnvironment& env, Rng& rng) {
  const BoxSpace& space = env.spec().action;
  const size_t dim = space.low.size();
  std::vector<float> actions(static_cast<size_t>(env.num_envs()) * dim);
  for (size_t i = 0; i < actions.size(); i += dim) {
    DrawAction(space, rng, std::span(actions).subspan(i, dim));
  }
  return actions;
}

}  // namespace tandem
