#include "common/objective/tabular_bound.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "common/base/rng.h"
#include "common/objective/gridworld.h"
#include "common/objective/joint_optimiser.h"
#include "common/objective/random_mdp.h"

namespace tandem::objective {
namespace {

using testing::RandomDistribution;
using testing::RandomDynamics;
using testing::RandomMdp;
using testing::RandomPolicy;

/// Bounds by going through every trajectory of `horizon` steps, from their definitions: the
/// log-ratio of each transition itself, no divergence, no Bellman equation.
struct BruteForce {
  const TabularMdp& mdp;
  const TabularDynamics& model;
  const TabularPolicy& policy;
  int horizon;
  std::vector<double> mean_terms;  ///< E[sum_{t' < t} log p/q + log r_t + t log g]
  double lower = 0;                ///< E[sum_t g^t r~]

  void Run() {
    mean_terms.assign(horizon, 0.0);
    Visit(mdp.start, 0, 1, 0);
  }
  void Visit(int state, int t, double probability, double log_ratios) {
    if (t == horizon) return;
    const double g = mdp.discount;
    for (int u = 0; u < model.actions(); ++u) {
      const double chosen = probability * policy[state * model.actions() + u];
      const double log_reward = std::log(mdp.rewards[state * model.actions() + u]);
      mean_terms[t] += chosen * (log_ratios + log_reward + t * std::log(g));
      for (const auto& [next, q] : model.Row(state, u)) {
        const double log_ratio = std::log(mdp.dynamics.Probability(state, u, next) / q);
        lower += chosen * q * std::pow(g, t) *
                 ((1 - g) * log_reward + log_ratio - (1 - g) * std::log(1 - g));
        Visit(next, t + 1, chosen * q, log_ratios + log_ratio);
      }
    }
  }
};

TEST(TabularBoundTest, BoundsAreTheirDefinitionsOverAllTrajectories) {
  Rng rng(1);
  for (int problem = 0; problem < 5; ++problem) {
    TabularMdp mdp = RandomMdp(2, 2, rng);
    mdp.discount = 0.1;  // what lies beyond eight steps is below 1e-7
    const TabularPolicy policy = RandomPolicy(2, 2, rng);
    const TabularDynamics model = RandomDynamics(2, 2, rng);
    BruteForce brute{mdp, model, policy, 8, {}};
    brute.Run();
    EXPECT_NEAR(LowerBound(mdp, model, policy), brute.lower, 1e-5);
    double sum = 0;
    for (const double term : brute.mean_terms) sum += std::exp(term);
    EXPECT_NEAR(TightBound(mdp, model, policy), std::log(sum), 1e-5);
  }
}

TEST(TabularBoundTest, NoBoundIsEverViolatedAndTheTightOneIsTighter) {
  Rng rng(2);
  for (int problem = 0; problem < 200; ++problem) {
    const int states = 2 + static_cast<int>(rng.Below(7));
    const int actions = 1 + static_cast<int>(rng.Below(4));
    const TabularMdp mdp = RandomMdp(states, actions, rng);
    const TabularPolicy policy = RandomPolicy(states, actions, rng);
    const TabularDynamics model = RandomDynamics(states, actions, rng);
    const double log_return = std::log(Return(mdp, mdp.dynamics, policy, mdp.rewards));
    const double lower = LowerBound(mdp, model, policy);
    const double discounted = LowerBound(mdp, model, policy, mdp.discount);
    const double tight = TightBound(mdp, model, policy);
    EXPECT_LE(lower, discounted);
    EXPECT_LE(discounted, tight + 1e-9);
    EXPECT_LE(tight, log_return + 1e-9);
  }
}

TEST(TabularBoundTest, BoundsAreEqualitiesForTheRealModelAndAConstantReward) {
  Rng rng(3);
  TabularMdp mdp = RandomMdp(4, 2, rng);
  mdp.discount = 0.9;
  mdp.rewards.assign(8, 3.0);
  const TabularPolicy policy = RandomPolicy(4, 2, rng);
  EXPECT_NEAR(LowerBound(mdp, mdp.dynamics, policy), std::log(30.0), 1e-9);
  EXPECT_NEAR(TightBound(mdp, mdp.dynamics, policy), std::log(30.0), 1e-9);
}

TEST(TabularBoundTest, AModelThatLeavesTheSupportHasTheBoundMinusInfinity) {
  TabularMdp mdp{TabularDynamics(3, 1), {1, 1, 1}, 0.9, 0};
  for (int s = 0; s < 3; ++s) mdp.dynamics.SetRow(s, 0, std::array<Branch, 1>{{{s, 1}}});
  const TabularPolicy policy = UniformPolicy(3, 1);
  TabularDynamics model = mdp.dynamics;
  model.SetRow(2, 0, std::array<Branch, 2>{{{2, .5}, {1, .5}}});  // state 2 is never met
  EXPECT_NEAR(LowerBound(mdp, model, policy), std::log(10.0), 1e-9);
  model.SetRow(0, 0, std::array<Branch, 2>{{{0, .5}, {1, .5}}});
  EXPECT_EQ(LowerBound(mdp, model, policy), -std::numeric_limits<double>::infinity());
  // The first reward is certain whatever the model does: r_0 = 1 alone.
  EXPECT_NEAR(TightBound(mdp, model, policy), 0, 1e-9);
  EXPECT_EQ(Divergence(model, mdp.dynamics)[0], std::numeric_limits<double>::infinity());
}

TEST(TabularBoundTest, DivergenceOfAnOptimistIsKnown) {
  TabularDynamics real(2, 1), model(2, 1);
  for (int s = 0; s < 2; ++s) {
    real.SetRow(s, 0, std::array<Branch, 2>{{{0, .5}, {1, .5}}});
    model.SetRow(s, 0, std::array<Branch, 1>{{{1, 1}}});
  }
  EXPECT_NEAR(Divergence(model, real)[0], std::log(2.0), 1e-15);
  EXPECT_EQ(Divergence(real, real)[1], 0);
  EXPECT_NEAR(AugmentedReward({1, std::exp(1.0)}, {std::log(2.0), 0}, .5)[0],
              -std::log(2.0) + .5 * std::log(2.0), 1e-15);
  EXPECT_NEAR(AugmentedReward({1, std::exp(1.0)}, {std::log(2.0), 0}, .5)[1],
              .5 + .5 * std::log(2.0), 1e-15);
}

TEST(TabularBoundTest, NoModelBeatsTheOptimalOne) {
  Rng rng(4);
  const TabularDynamics real = RandomDynamics(4, 1, rng);
  const std::vector<double> values = {1, -2, 0.5, 3};
  const TabularDynamics best = OptimalDynamics(real, values);
  const auto objective = [&](std::span<const double> q, int s) {
    double sum = 0;
    for (int next = 0; next < 4; ++next) {
      if (q[next] == 0) continue;
      sum += q[next] * (values[next] - std::log(q[next] / real.Probability(s, 0, next)));
    }
    return sum;
  };
  for (int s = 0; s < 4; ++s) {
    std::array<double, 4> q;
    double partition = 0;
    for (int next = 0; next < 4; ++next) {
      q[next] = best.Probability(s, 0, next);
      partition += real.Probability(s, 0, next) * std::exp(values[next]);
    }
    EXPECT_NEAR(objective(q, s), std::log(partition), 1e-12);
    for (int trial = 0; trial < 1000; ++trial) {
      EXPECT_LE(objective(RandomDistribution(4, rng), s), objective(q, s));
    }
  }
}

TEST(TabularBoundTest, VmbpoOverestimatesWhatMnmBounds) {
  const TabularMdp mdp = RiskyLine();
  const TabularPolicy right = GreedyPolicy({0, 0, 1, 0, 0, 1, 0, 0, 1}, 3);
  TabularDynamics optimist = mdp.dynamics;
  for (int u = 0; u < 3; ++u) optimist.SetRow(2, u, std::array<Branch, 1>{{{2, 1}}});
  optimist.SetRow(2, 0, mdp.dynamics.Row(2, 0));
  const double real = Return(mdp, mdp.dynamics, right, mdp.rewards);
  // 1 + 0.9 (51 - log 2) / 0.1, against 1 + 0.9 * 51.45 / 0.145 in truth.
  EXPECT_NEAR(VmbpoObjective(mdp, optimist, right), 460 - 9 * std::log(2.0), 1e-6);
  EXPECT_NEAR(real, 1 + .9 * 51.45 / .145, 1e-6);
  EXPECT_LT(TightBound(mdp, optimist, right), std::log(real));
}

}  // namespace
}  // namespace tandem::objective
