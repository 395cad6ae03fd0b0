#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/objective/gridworld.h"
#include "common/objective/joint_optimiser.h"

namespace tandem::bench {

/// The tabular experiments of the MnM paper (arXiv 2110.02758, figures 2 and 3) as functions: what
/// bench_mnm_gridworld prints and mnm_gridworld_test checks. docs/algorithms.md describes them. All
/// are deterministic; only Stochastic takes longer than a second.

/// Figure 2b: an aliased model, with and without the classifier. Grid 15 x 15, deterministic.
struct Detour {
  Gridworld grid;
  int block = 3;
  std::vector<Cell> path;  ///< Cells of 100 real steps, the start first.
  /// The step that is the first to be paid the goal's reward, counted from 1; none within 100.
  std::optional<int> goal_step;
};
Detour RunDetour(bool aliased, bool classifier, uint64_t seed);

/// Figure 3a: the real return of what each method does on RiskyLine.
double RunLine(objective::Method method);

/// Figure 3b: the bounds in each iteration of MnM on a stochastic grid, 10 x 10.
struct BoundPoint {
  double log_return = 0;        ///< log J
  double lower = 0;             ///< (2)
  double lower_discounted = 0;  ///< (2), the divergence weighted with g
  double tight = 0;             ///< (3)
  double log_model_return = 0;  ///< log of the return in the model, which is no bound
  double log_vmbpo = 0;         ///< log of (5), which is no bound
};
std::vector<BoundPoint> RunBound();

/// Bounds of random triples of policy, model and reward on random problems.
struct RandomBounds {
  int violations = 0;              ///< Bounds above log J (each of the three), more than rounding.
  double mean_gap = 0;             ///< log J - (2)
  double mean_gap_discounted = 0;  ///< log J - (2), the divergence weighted with g
  double mean_gap_tight = 0;       ///< log J - (3)
};
RandomBounds RunRandomBounds(int problems, uint64_t seed);

/// Figure 2a, right: the learned dynamics are optimistic.
struct Optimism {
  Gridworld grid;
  objective::JointResult result;
  double entropy_real = 0;   ///< Mean over actions and cells outside the wall [nats].
  double entropy_model = 0;  ///< [nats]
};
Optimism RunOptimism();

/// Figure 2a, left: learning from samples in a stochastic grid. Real return of the greedy policy at
/// the iterations 0, `every`, ..., 1500; `every`, a divisor of 1500, changes
/// nothing of what is learned.
inline constexpr int kStochasticEvery = 20;  ///< The notebook's [iterations].
std::vector<double> RunStochastic(objective::Method method, uint64_t seed,
                                  int every = kStochasticEvery);
/// The same for the best policy: exact value iteration.
double StochasticOptimum();

}  // namespace tandem::bench
