#pragma once

#include <vector>

#include "common/base/rng.h"
#include "common/objective/tabular_mdp.h"

namespace tandem::objective::testing {

/// Random problems for tests and benchmarks; the same for the same state of `rng`.

/// Uniform over all distributions of this length.
std::vector<double> RandomDistribution(int length, Rng& rng);
TabularPolicy RandomPolicy(int states, int actions, Rng& rng);
/// Every state can follow every pair (s, a).
TabularDynamics RandomDynamics(int states, int actions, Rng& rng);
/// Rewards are log-normal: exp(2 N(0, 1)); the discount is uniform in [0.1, 0.95); start 0.
TabularMdp RandomMdp(int states, int actions, Rng& rng);

}  // namespace tandem::objective::testing
