#include "bench/mnm_experiments.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/rng.h"
#include "common/objective/random_mdp.h"
#include "common/objective/tabular_bound.h"
#include "common/objective/tabular_q_learning.h"

namespace tandem::bench {
namespace {

using objective::BuildMdp;
using objective::JointOptions;
using objective::Method;
using objective::TabularDynamics;
using objective::TabularMdp;
using objective::TabularPolicy;

/// The grid of figures 2a and 3b.
Gridworld WalledGrid(double goal_reward, double other_reward) {
  Gridworld grid = SlipperyGrid();
  grid.goal_reward = goal_reward;
  grid.other_reward = other_reward;
  return grid;
}

std::vector<Cell> Walk(const Gridworld& grid, const TabularMdp& mdp, const TabularPolicy& policy,
                       int steps, Rng& rng) {
  std::vector<Cell> path = {grid.start};
  int state = mdp.start;
  for (int t = 0; t < steps; ++t) {
    const std::span<const double> pi(policy.data() + state * grid.actions, grid.actions);
    const int action = objective::SampleAction(pi, rng.Uniform());
    state = objective::SampleNext(mdp.dynamics.Row(state, action), rng.Uniform());
    path.push_back(grid.CellOf(state));
  }
  return path;
}

BoundPoint Evaluate(const TabularMdp& mdp, const TabularPolicy& policy,
                    const TabularDynamics& model) {
  return {.log_return = std::log(Return(mdp, mdp.dynamics, policy, mdp.rewards)),
          .lower = LowerBound(mdp, model, policy),
          .lower_discounted = LowerBound(mdp, model, policy, mdp.discount),
          .tight = TightBound(mdp, model, policy),
          .log_model_return = std::log(Return(mdp, model, policy, mdp.rewards)),
          .log_vmbpo = std::log(VmbpoObjective(mdp, model, policy))};
}

}  // namespace

Detour RunDetour(bool aliased, bool classifier, uint64_t seed) {
  Detour detour{.grid = DetourGrid()};
  const TabularMdp mdp = BuildMdp(detour.grid);
  JointOptions options{.method = Method::kMnm,
                       .classifier = classifier,
                       .divergence_clip = 5,
                       .max_iterations = 20,
                       .tolerance = 0};
  if (aliased) {
    options.model_class = [&](const TabularDynamics& dynamics) {
      return TieWithinBlocks(dynamics, detour.grid.size, detour.block);
    };
  }
  Rng rng(seed, "detour");
  detour.path = Walk(detour.grid, mdp, OptimiseJointly(mdp, options).policy, 100, rng);
  for (size_t t = 0; t < detour.path.size() && !detour.goal_step; ++t) {
    if (detour.grid.State(detour.path[t]) == detour.grid.State(detour.grid.goal)) {
      detour.goal_step = static_cast<int>(t) + 1;
    }
  }
  return detour;
}

double RunLine(Method method) {
  const TabularMdp mdp = objective::RiskyLine();
  const TabularPolicy policy = OptimiseJointly(mdp, {.method = method}).policy;
  return Return(mdp, mdp.dynamics, policy, mdp.rewards);
}

std::vector<BoundPoint> RunBound() {
  const TabularMdp mdp = BuildMdp(WalledGrid(10, 1));
  std::vector<BoundPoint> points;
  OptimiseJointly(mdp, {}, [&](const TabularPolicy& policy, const TabularDynamics& model) {
    points.push_back(Evaluate(mdp, policy, model));
  });
  return points;
}

RandomBounds RunRandomBounds(int problems, uint64_t seed) {
  constexpr double kRounding = 1e-9;
  Rng rng(seed, "random_bounds");
  RandomBounds out;
  for (int problem = 0; problem < problems; ++problem) {
    const int states = 2 + static_cast<int>(rng.Below(7));
    const int actions = 1 + static_cast<int>(rng.Below(4));
    const TabularMdp mdp = objective::testing::RandomMdp(states, actions, rng);
    const TabularPolicy policy = objective::testing::RandomPolicy(states, actions, rng);
    const BoundPoint point =
        Evaluate(mdp, policy, objective::testing::RandomDynamics(states, actions, rng));
    for (const double bound : {point.lower, point.lower_discounted, point.tight}) {
      if (!(bound <= point.log_return + kRounding)) ++out.violations;
    }
    out.mean_gap += (point.log_return - point.lower) / problems;
    out.mean_gap_discounted += (point.log_return - point.lower_discounted) / problems;
    out.mean_gap_tight += (point.log_return - point.tight) / problems;
  }
  return out;
}

Optimism RunOptimism() {
  const Gridworld grid = WalledGrid(1e9, 1e-5);
  const TabularMdp mdp = BuildMdp(grid);
  objective::JointResult result = OptimiseJointly(mdp, {});
  const std::vector<int> free = grid.FreeStates();
  const double entropy_model = MeanEntropy(result.model, free);
  return {grid, std::move(result), MeanEntropy(mdp.dynamics, free), entropy_model};
}

std::vector<double> RunStochastic(Method method, uint64_t seed, int every) {
  const TabularMdp mdp = BuildMdp(WalledGrid(10, 1e-3));
  return LearnFromSamples(mdp, {.method = method, .evaluate_every = every}, seed);
}

double StochasticOptimum() {
  const TabularMdp mdp = BuildMdp(WalledGrid(10, 1e-3));
  const JointOptions options{.method = Method::kQLearning, .step = 1, .tolerance = 1e-9};
  return Return(mdp, mdp.dynamics, OptimiseJointly(mdp, options).policy, mdp.rewards);
}

}  // namespace tandem::bench
