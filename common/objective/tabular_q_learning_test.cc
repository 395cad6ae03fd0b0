#include "common/objective/tabular_q_learning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "common/objective/gridworld.h"

namespace tandem::objective {
namespace {

const Gridworld kGrid{.size = 3, .slip = 0.2, .goal = {2, 2}, .goal_reward = 10};

TEST(TabularQLearningTest, EveryMethodSolvesASmallGrid) {
  const TabularMdp mdp = BuildMdp(kGrid);
  const JointOptions exact{.method = Method::kQLearning, .step = 1, .tolerance = 1e-9};
  const double best = Return(mdp, mdp.dynamics, OptimiseJointly(mdp, exact).policy, mdp.rewards);
  for (const Method method : {Method::kQLearning, Method::kMnm, Method::kVmbpo}) {
    SCOPED_TRACE(MethodName(method));
    const std::vector<double> returns =
        LearnFromSamples(mdp, {.method = method, .iterations = 601}, 1);
    ASSERT_EQ(returns.size(), 31u);
    EXPECT_LT(returns.front(), 0.7 * best);
    EXPECT_GT(returns.back(), 0.95 * best);
    for (const double value : returns) EXPECT_LE(value, best + 1e-9);
  }
}

TEST(TabularQLearningTest, EqualSeedsGiveEqualCurves) {
  const TabularMdp mdp = BuildMdp(kGrid);
  const SampledOptions options{.iterations = 101, .evaluate_every = 10};
  const std::vector<double> first = LearnFromSamples(mdp, options, 7);
  EXPECT_EQ(LearnFromSamples(mdp, options, 7), first);
  EXPECT_NE(LearnFromSamples(mdp, options, 8), first);
}

TEST(TabularQLearningTest, OneSampleMovesTheValueByTheRate) {
  // One state, two actions, one step: Q of the action taken becomes rate * reward, so it is greedy
  // from then on exactly if its reward is positive.
  TabularMdp mdp{TabularDynamics(1, 2), {-1, 2}, 0.5, 0};
  for (int action = 0; action < 2; ++action) {
    const Branch stay{0, 1};
    mdp.dynamics.SetRow(0, action, {&stay, 1});
  }
  const std::vector<double> returns = LearnFromSamples(
      mdp, {.method = Method::kQLearning, .iterations = 1, .episode_steps = 1, .evaluate_every = 1},
      1);
  ASSERT_EQ(returns.size(), 1u);
  EXPECT_NEAR(returns[0], 4, 1e-9);  // either action makes the second the better one
}

}  // namespace
}  // namespace tandem::objective
