#include "common/objective/tabular_mdp.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "common/base/rng.h"
#include "common/objective/random_mdp.h"

namespace tandem::objective {
namespace {

using testing::RandomMdp;
using testing::RandomPolicy;

/// Solves a x = b by Gaussian elimination with pivoting.
std::vector<double> Solve(std::vector<std::vector<double>> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t row = column; row < n; ++row) {
      if (std::abs(a[row][column]) > std::abs(a[pivot][column])) pivot = row;
    }
    std::swap(a[column], a[pivot]);
    std::swap(b[column], b[pivot]);
    for (size_t row = 0; row < n; ++row) {
      if (row == column) continue;
      const double factor = a[row][column] / a[column][column];
      for (size_t k = column; k < n; ++k) a[row][k] -= factor * a[column][k];
      b[row] -= factor * b[column];
    }
  }
  for (size_t i = 0; i < n; ++i) b[i] /= a[i][i];
  return b;
}

TEST(TabularMdpTest, EvaluationSolvesTheLinearBellmanEquation) {
  Rng rng(1);
  for (int problem = 0; problem < 20; ++problem) {
    const TabularMdp mdp = RandomMdp(6, 3, rng);
    const TabularPolicy policy = RandomPolicy(6, 3, rng);
    // (I - discount P) V = r with P and r under the policy.
    std::vector<std::vector<double>> a(6, std::vector<double>(6, 0.0));
    std::vector<double> b(6, 0.0);
    for (int s = 0; s < 6; ++s) {
      a[s][s] = 1;
      for (int u = 0; u < 3; ++u) {
        b[s] += policy[s * 3 + u] * mdp.rewards[s * 3 + u];
        for (int next = 0; next < 6; ++next) {
          a[s][next] -= mdp.discount * policy[s * 3 + u] * mdp.dynamics.Probability(s, u, next);
        }
      }
    }
    const std::vector<double> values = Solve(a, b);
    const StateActionTable q = EvaluatePolicy(mdp.dynamics, policy, mdp.rewards, mdp.discount);
    const std::vector<double> found = StateValues(policy, q, 6);
    for (int s = 0; s < 6; ++s) EXPECT_NEAR(found[s], values[s], 1e-9 * std::abs(values[s]));
    EXPECT_DOUBLE_EQ(Return(mdp, mdp.dynamics, policy, mdp.rewards), found[mdp.start]);
  }
}

TEST(TabularMdpTest, ReturnIsTheMeanOfSampledReturns) {
  Rng rng(2);
  const TabularMdp mdp = RandomMdp(4, 2, rng);
  const TabularPolicy policy = RandomPolicy(4, 2, rng);
  constexpr int kEpisodes = 20000;
  double sum = 0, squares = 0;
  for (int episode = 0; episode < kEpisodes; ++episode) {
    double sampled = 0, weight = 1;
    for (int state = mdp.start; weight > 1e-4; weight *= mdp.discount) {
      const int action = SampleAction(std::span(policy).subspan(state * 2, 2), rng.Uniform());
      sampled += weight * mdp.rewards[state * 2 + action];
      state = SampleNext(mdp.dynamics.Row(state, action), rng.Uniform());
    }
    sum += sampled;
    squares += sampled * sampled;
  }
  const double mean = sum / kEpisodes;
  const double error = std::sqrt((squares / kEpisodes - mean * mean) / kEpisodes);
  EXPECT_NEAR(Return(mdp, mdp.dynamics, policy, mdp.rewards), mean, 4 * error + 1e-3 * mean);
}

TEST(TabularMdpTest, StepDistributionAddsUpToTheReturn) {
  Rng rng(3);
  const TabularMdp mdp = RandomMdp(5, 2, rng);
  const TabularPolicy policy = RandomPolicy(5, 2, rng);
  std::vector<double> states(5, 0.0);
  states[mdp.start] = 1;
  double sum = 0;
  for (double weight = 1; weight > 1e-14; weight *= mdp.discount) {
    for (int i = 0; i < 10; ++i) sum += weight * states[i / 2] * policy[i] * mdp.rewards[i];
    states = StepDistribution(mdp.dynamics, policy, states);
  }
  EXPECT_NEAR(Return(mdp, mdp.dynamics, policy, mdp.rewards), sum, 1e-10 * sum);
}

TEST(TabularMdpTest, RowsAreMergedSortedAndNormalised) {
  TabularDynamics dynamics(3, 1);
  dynamics.SetRow(0, 0, std::array<Branch, 4>{{{2, .5}, {0, 1}, {2, .5}, {1, 0}}});
  ASSERT_EQ(dynamics.Row(0, 0).size(), 2u);
  EXPECT_EQ(dynamics.Row(0, 0)[0].next, 0);
  EXPECT_EQ(dynamics.Row(0, 0)[1].next, 2);
  EXPECT_DOUBLE_EQ(dynamics.Probability(0, 0, 2), .5);
  EXPECT_EQ(dynamics.Probability(0, 0, 1), 0);
}

TEST(TabularMdpTest, MixingAndDifferenceAreEntrywise) {
  TabularDynamics a(2, 1), b(2, 1);
  for (int s = 0; s < 2; ++s) {
    a.SetRow(s, 0, std::array<Branch, 1>{{{0, 1}}});
    b.SetRow(s, 0, std::array<Branch, 2>{{{0, .2}, {1, .8}}});
  }
  const TabularDynamics mixed = Mix(a, b, .25);
  EXPECT_NEAR(mixed.Probability(1, 0, 1), .2, 1e-15);
  EXPECT_NEAR(MaxDifference(a, b), .8, 1e-15);
  EXPECT_NEAR(MaxDifference(a, mixed), .2, 1e-15);
  EXPECT_EQ(Mix(StateActionTable{1, 3}, StateActionTable{3, 7}, .5), (StateActionTable{2, 5}));
}

TEST(TabularMdpTest, GreedyPolicyTakesTheFirstOfEqualActions) {
  EXPECT_EQ(GreedyPolicy({1, 2, 2, 5, 5, 4}, 3), (TabularPolicy{0, 1, 0, 1, 0, 0}));
}

TEST(TabularMdpTest, EntropyOfAFairCoinIsLogTwo) {
  TabularDynamics dynamics(2, 1);
  dynamics.SetRow(0, 0, std::array<Branch, 2>{{{0, .5}, {1, .5}}});
  dynamics.SetRow(1, 0, std::array<Branch, 1>{{{1, 1}}});
  EXPECT_NEAR(MeanEntropy(dynamics, std::array{0}), std::log(2.0), 1e-15);
  EXPECT_NEAR(MeanEntropy(dynamics, std::array{0, 1}), std::log(2.0) / 2, 1e-15);
}

}  // namespace
}  // namespace tandem::objective
