#include "common/objective/joint_optimiser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/rng.h"
#include "common/objective/gridworld.h"
#include "common/objective/random_mdp.h"
#include "common/objective/tabular_bound.h"

namespace tandem::objective {
namespace {

/// The best V(start) over all deterministic policies, one by one.
double BestReturn(const TabularMdp& mdp) {
  const int states = mdp.dynamics.states(), actions = mdp.dynamics.actions();
  double best = -std::numeric_limits<double>::infinity();
  for (int code = 0; code < std::pow(actions, states); ++code) {
    TabularPolicy policy(states * actions, 0.0);
    for (int s = 0, rest = code; s < states; ++s, rest /= actions) {
      policy[s * actions + rest % actions] = 1;
    }
    best = std::max(best, Return(mdp, mdp.dynamics, policy, mdp.rewards));
  }
  return best;
}

TEST(JointOptimiserTest, QLearningFindsTheBestOfAllPolicies) {
  Rng rng(1);
  for (int problem = 0; problem < 10; ++problem) {
    const TabularMdp mdp = testing::RandomMdp(5, 2, rng);
    const JointResult result = OptimiseJointly(mdp, {.method = Method::kQLearning});
    EXPECT_TRUE(result.converged);
    EXPECT_EQ(MaxDifference(result.model, mdp.dynamics), 0);
    const double best = BestReturn(mdp);
    EXPECT_NEAR(Return(mdp, mdp.dynamics, result.policy, mdp.rewards), best, 1e-3 * best);
  }
}

TEST(JointOptimiserTest, MnmConvergesToAModelThatFitsItsPolicy) {
  Rng rng(2);
  for (int problem = 0; problem < 10; ++problem) {
    const TabularMdp mdp = testing::RandomMdp(5, 2, rng);
    const JointResult result = OptimiseJointly(mdp, {});
    ASSERT_TRUE(result.converged);
    // The fixed point of (4) for the values of its own policy, computed from the definitions.
    const StateActionTable rewards =
        AugmentedReward(mdp.rewards, Divergence(result.model, mdp.dynamics), mdp.discount);
    const StateActionTable q = EvaluatePolicy(result.model, result.policy, rewards, mdp.discount);
    EXPECT_NEAR(MaxDifference(result.policy, GreedyPolicy(q, 2)), 0, 1e-3);
    const TabularDynamics best = OptimalDynamics(mdp.dynamics, StateValues(result.policy, q, 5));
    EXPECT_NEAR(MaxDifference(best, result.model), 0, 1e-3);
  }
}

TEST(JointOptimiserTest, WhereTheWorldIsCertainTheModelIsTheWorld) {
  const Gridworld grid{.size = 4, .goal = {3, 3}, .goal_reward = 10};
  const TabularMdp mdp = BuildMdp(grid);
  const JointResult result = OptimiseJointly(mdp, {.max_iterations = 5, .tolerance = 0});
  EXPECT_EQ(result.changes.size(), 5u);
  EXPECT_FALSE(result.converged);
  EXPECT_EQ(MaxDifference(result.model, mdp.dynamics), 0);
}

TEST(JointOptimiserTest, TheObserverSeesEveryPairFromTheFirstOn) {
  Rng rng(3);
  const TabularMdp mdp = testing::RandomMdp(3, 2, rng);
  std::vector<double> bounds;
  const JointResult result =
      OptimiseJointly(mdp, {}, [&](const TabularPolicy& policy, const TabularDynamics& model) {
        if (bounds.empty()) {
          EXPECT_EQ(policy, UniformPolicy(3, 2));
          EXPECT_EQ(MaxDifference(model, mdp.dynamics), 0);
        }
        bounds.push_back(LowerBound(mdp, model, policy));
      });
  EXPECT_EQ(bounds.size(), result.changes.size());
  EXPECT_GT(bounds.back(), bounds.front());
}

/// The return of `moves` rewards of 1 and then 100 for ever.
double ReturnAfter(int moves) {
  const double last = std::pow(.9, moves);
  return (1 - last) / .1 + 100 * last / .1;
}

TEST(JointOptimiserTest, AnAliasedModelPaysForItsLeakAndGoesRound) {
  const Gridworld grid{.size = 9,
                       .actions = 5,
                       .wall_rows = 2,
                       .wall_first_column = 4,
                       .wall_last_column = 4,
                       .goal = {2, 6},
                       .goal_reward = 100};
  const TabularMdp mdp = BuildMdp(grid);
  JointOptions options{.divergence_clip = 5, .max_iterations = 20, .tolerance = 0};
  const auto real_return = [&] {
    return Return(mdp, mdp.dynamics, OptimiseJointly(mdp, options).policy, mdp.rewards);
  };
  EXPECT_NEAR(real_return(), ReturnAfter(8), 0.1);  // through row 2, just below the wall
  options.model_class = [](const TabularDynamics& dynamics) {
    return TieWithinBlocks(dynamics, 9, 3);
  };
  // Row 2 shares a block with the wall: the model is wrong there, and row 3 is two moves longer.
  EXPECT_NEAR(real_return(), ReturnAfter(10), 0.1);
  options.classifier = false;
  EXPECT_NEAR(real_return(), 10, 0.1);  // never arrives
}

TEST(JointOptimiserTest, RewardsOfTheMethodsDifferAsTheirEquationsSay) {
  const StateActionTable rewards = {1, std::exp(2.0)}, divergence = {0.5, 0.25};
  EXPECT_EQ(MethodReward(Method::kQLearning, rewards, divergence, .9), rewards);
  const StateActionTable vmbpo = MethodReward(Method::kVmbpo, rewards, divergence, .9);
  EXPECT_DOUBLE_EQ(vmbpo[1], std::exp(2.0) - .25);
  const StateActionTable mnm = MethodReward(Method::kMnm, rewards, divergence, .9);
  EXPECT_NEAR(mnm[0], -.5, 1e-12);
  EXPECT_NEAR(mnm[1], .2 - .25, 1e-12);
  // (1) but for its constant.
  const StateActionTable full = AugmentedReward(rewards, divergence, .9);
  EXPECT_NEAR(full[0] - mnm[0], -.1 * std::log(.1), 1e-12);
  EXPECT_NEAR(full[1] - mnm[1], -.1 * std::log(.1), 1e-12);
}

}  // namespace
}  // namespace tandem::objective
