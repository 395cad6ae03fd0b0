#include "common/objective/gridworld.h"

#include <gtest/gtest.h>

namespace tandem::objective {
namespace {

constexpr int kUp = 0, kRight = 1, kDown = 2, kLeft = 3, kStay = 4;

TEST(GridworldTest, WallsAndEdgesStopTheAgent) {
  const Gridworld grid = DetourGrid();
  const TabularMdp mdp = BuildMdp(grid);
  const auto lands = [&](Cell from, int action, Cell to) {
    return mdp.dynamics.Probability(grid.State(from), action, grid.State(to)) == 1;
  };
  EXPECT_TRUE(lands({0, 0}, kUp, {0, 0}));
  EXPECT_TRUE(lands({0, 0}, kLeft, {0, 0}));
  EXPECT_TRUE(lands({0, 0}, kRight, {0, 1}));
  EXPECT_TRUE(lands({7, 6}, kRight, {7, 6}));
  EXPECT_TRUE(lands({8, 6}, kRight, {8, 7}));
  EXPECT_TRUE(lands({8, 7}, kUp, {8, 7}));
  EXPECT_TRUE(lands({14, 3}, kDown, {14, 3}));
  EXPECT_TRUE(lands({4, 4}, kStay, {4, 4}));
  EXPECT_EQ(grid.FreeStates().size(), 15u * 15 - 8);
}

TEST(GridworldTest, RewardIsPaidInTheGoalForEveryAction) {
  const Gridworld grid = DetourGrid();
  const TabularMdp mdp = BuildMdp(grid);
  for (int action = 0; action < grid.actions; ++action) {
    EXPECT_EQ(mdp.rewards[grid.State(grid.goal) * grid.actions + action], 100);
  }
  double sum = 0;
  for (const double reward : mdp.rewards) sum += reward;
  EXPECT_EQ(sum, 5 * 100 + 5 * (225 - 1));
}

TEST(GridworldTest, ASlipTakesAUniformAction) {
  Gridworld grid = DetourGrid();
  grid.slip = 0.5;
  const TabularMdp mdp = BuildMdp(grid);
  const auto probability = [&](Cell to) {
    return mdp.dynamics.Probability(grid.State({5, 5}), kRight, grid.State(to));
  };
  EXPECT_NEAR(probability({5, 6}), 0.6, 1e-12);
  for (const Cell to : {Cell{4, 5}, Cell{6, 5}, Cell{5, 4}, Cell{5, 5}}) {
    EXPECT_NEAR(probability(to), 0.1, 1e-12);
  }
}

TEST(GridworldTest, AnAliasedModelLeaksThroughTheWall) {
  const Gridworld grid = DetourGrid();
  const TabularMdp mdp = BuildMdp(grid);
  const TabularDynamics tied = TieWithinBlocks(mdp.dynamics, grid.size, 3);
  // In the block of rows 0-2 and columns 6-8 a step to the right is stopped in column 6 alone.
  for (const Cell cell : {Cell{0, 6}, Cell{1, 6}, Cell{2, 7}, Cell{0, 8}}) {
    const int from = grid.State(cell);
    EXPECT_NEAR(tied.Probability(from, kRight, from + 1), 2.0 / 3, 1e-12);
    EXPECT_NEAR(tied.Probability(from, kRight, from), 1.0 / 3, 1e-12);
  }
  EXPECT_EQ(mdp.dynamics.Probability(grid.State({0, 6}), kRight, grid.State({0, 7})), 0);
}

TEST(GridworldTest, AwayFromWallsAndEdgesTyingChangesNothing) {
  const Gridworld grid = DetourGrid();
  const TabularMdp mdp = BuildMdp(grid);
  const TabularDynamics tied = TieWithinBlocks(mdp.dynamics, grid.size, 3);
  const int middle = grid.State({10, 4});
  for (int action = 0; action < grid.actions; ++action) {
    const int next = grid.State(grid.Move({10, 4}, action));
    EXPECT_DOUBLE_EQ(tied.Probability(middle, action, next), 1);
  }
}

TEST(GridworldTest, TyingClipsAtTheEdge) {
  const Gridworld grid = DetourGrid();
  const TabularDynamics tied = TieWithinBlocks(BuildMdp(grid).dynamics, grid.size, 3);
  // A third of the cells of the first blocks stays on going up; the first row always does.
  EXPECT_DOUBLE_EQ(tied.Probability(grid.State({0, 1}), kUp, grid.State({0, 1})), 1);
  EXPECT_NEAR(tied.Probability(grid.State({1, 1}), kUp, grid.State({1, 1})), 1.0 / 3, 1e-12);
}

TEST(GridworldTest, TheLineSlipsBackFromTheRightOnly) {
  const TabularMdp mdp = RiskyLine();
  EXPECT_EQ(mdp.dynamics.Probability(1, 0, 0), 1);
  EXPECT_EQ(mdp.dynamics.Probability(0, 1, 0), 1);
  EXPECT_EQ(mdp.dynamics.Probability(1, 2, 2), 1);
  EXPECT_EQ(mdp.dynamics.Probability(2, 1, 2), 0.5);
  EXPECT_EQ(mdp.dynamics.Probability(2, 2, 1), 0.5);
  EXPECT_EQ(mdp.dynamics.Probability(2, 0, 1), 1);
}

}  // namespace
}  // namespace tandem::objective
