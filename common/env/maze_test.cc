#include "common/env/maze.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "common/env/known_reward.h"
#include "common/env/simulation.h"

namespace tandem {
namespace {

// Strictly inside a wall, or off the maze; written apart from the code under test.
bool Forbidden(const MazeLayout& maze, const MazePoint& point) {
  for (const double x : point) {
    if (!(x >= 0 && x <= kMazeSize)) return true;
  }
  for (const MazeWall& wall : maze.walls) {
    if (point[0] > wall.low[0] && point[0] < wall.high[0] && point[1] > wall.low[1] &&
        point[1] < wall.high[1]) {
      return true;
    }
  }
  return false;
}

class EveryMaze : public testing::TestWithParam<std::string> {
 protected:
  const MazeLayout& maze() { return *FindMaze(GetParam()); }
  std::unique_ptr<Simulation> env_ = *MakeSimulation(GetParam());
  std::vector<float> observation_ = std::vector<float>(2);
};

INSTANTIATE_TEST_SUITE_P(All, EveryMaze, testing::Values("maze", "maze_sparse", "maze_zigzag"),
                         [](const auto& info) { return info.param; });

TEST_P(EveryMaze, WallsAndEdgesHoldAgainstRandomMoves) {
  Rng rng(1);
  MazePoint at = maze().start;
  for (int i = 0; i < 100000; ++i) {
    // Every other move is along one axis, and some are far longer than any step.
    const double reach = i % 10 == 0 ? 40 : 2.5;
    MazePoint by = {rng.Uniform(-reach, reach), rng.Uniform(-reach, reach)};
    if (i % 2 == 0) by[rng.Below(2)] = 0;
    const MazePoint to = Slide(maze(), at, by);
    ASSERT_FALSE(Forbidden(maze(), to)) << i << ": " << to[0] << ", " << to[1];
    // Nothing goes further than the displacement, on either axis.
    for (size_t axis = 0; axis < 2; ++axis) {
      ASSERT_LE(std::abs(to[axis] - at[axis]), std::abs(by[axis]) + 1e-9) << i;
    }
    at = to;
  }
}

// The rule, taken a hair at a time: an axis that is blocked once stays so for the rest of the move.
MazePoint March(const MazeLayout& maze, MazePoint at, MazePoint by) {
  constexpr int kHairs = 2000;
  for (int k = 0; k < kHairs; ++k) {
    const double row = at[0] + by[0] / kHairs, column = at[1] + by[1] / kHairs;
    if (!Forbidden(maze, {row, column})) {
      at = {row, column};
    } else if (!Forbidden(maze, {row, at[1]})) {
      at[0] = row;
      by[1] = 0;
    } else if (!Forbidden(maze, {at[0], column})) {
      at[1] = column;
      by[0] = 0;
    } else {
      break;
    }
  }
  return at;
}

TEST_P(EveryMaze, AMoveIsWhatAMarchInHairsIs) {
  Rng rng(2);
  int moves = 0, stopped = 0, different = 0;
  while (moves < 2000) {
    const MazePoint at = {rng.Uniform(0, kMazeSize), rng.Uniform(0, kMazeSize)};
    if (Forbidden(maze(), at)) continue;
    const MazePoint by = {rng.Uniform(-6, 6), rng.Uniform(-6, 6)};
    const MazePoint got = Slide(maze(), at, by);
    const MazePoint marched = March(maze(), at, by);
    ++moves;
    stopped += std::hypot(got[0] - at[0] - by[0], got[1] - at[1] - by[1]) > 0.1;
    different += std::hypot(got[0] - marched[0], got[1] - marched[1]) > 0.02;
  }
  EXPECT_GT(stopped, 500);
  EXPECT_LE(different, 10);  // those that pass a corner within a hair
}

TEST_P(EveryMaze, NoiseHasItsMoments) {
  const MazePoint centre = {12, 2};  // free within 2 cells
  double sum[2] = {}, squares[2] = {}, product = 0;
  constexpr int kDraws = 20000;
  ASSERT_TRUE(env_->Reset(3, observation_).ok());
  for (int i = 0; i < kDraws; ++i) {
    ASSERT_TRUE(env_->SetState(centre, observation_).ok());
    ASSERT_TRUE(env_->Step(std::vector<float>{0.5f, -0.25f}, observation_).ok());
    const MazePoint at = MazePosition(observation_);
    const double noise[2] = {at[0] - 13, at[1] - 1.5};
    for (int axis = 0; axis < 2; ++axis) {
      sum[axis] += noise[axis];
      squares[axis] += noise[axis] * noise[axis];
    }
    product += noise[0] * noise[1];
  }
  for (int axis = 0; axis < 2; ++axis) {
    EXPECT_NEAR(sum[axis] / kDraws, 0, 5 * 0.15 / std::sqrt(kDraws));
    EXPECT_NEAR(squares[axis] / kDraws, 0.0225, 5 * 0.0225 * std::sqrt(2.0 / kDraws));
  }
  EXPECT_NEAR(product / kDraws, 0, 5 * 0.0225 / std::sqrt(kDraws));
}

TEST_P(EveryMaze, StartsAboutItsStartAndAWideRangeStaysFree) {
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(env_->WidenStart(i % 2 == 0 ? 1 : 1000).ok());
    ASSERT_TRUE(env_->Reset(i, observation_).ok());
    const MazePoint at = MazePosition(observation_);
    if (i % 2 == 0) {
      EXPECT_NEAR(at[0], 0.5, 0.1 + 1e-6);
      EXPECT_NEAR(at[1], 0.5, 0.1 + 1e-6);
    }
    EXPECT_FALSE(Forbidden(maze(), {at[0] * (1 - 1e-6), at[1] * (1 - 1e-6)}));
  }
}

TEST_P(EveryMaze, AStateInsideAWallMovesToItsBorder) {
  const MazeWall& wall = maze().walls[0];
  const MazePoint inside = {3, wall.low[1] + 0.25};
  ASSERT_TRUE(env_->SetState(inside, observation_).ok());
  const MazePoint at = MazePosition(observation_);
  EXPECT_NEAR(at[0], 3, 1e-5);
  EXPECT_NEAR(at[1], wall.low[1], 1e-5);
  // At the edge of the maze too, where the nearest face of the wall lies outside.
  ASSERT_TRUE(env_->SetState(MazePoint{0.01, wall.low[1] + 0.75}, observation_).ok());
  EXPECT_NEAR(MazePosition(observation_)[1], wall.low[1], 1e-5);
}

// Rewards of an episode that heads for one point after the other.
std::vector<float> Follow(Simulation& env, uint64_t seed, const std::vector<MazePoint>& way) {
  std::vector<float> observation(2), action(2), rewards;
  EXPECT_TRUE(env.Reset(seed, observation).ok());
  size_t aim = 0;
  for (bool running = true; running;) {
    const MazePoint at = MazePosition(observation);
    const double off = std::max(std::abs(way[aim][0] - at[0]), std::abs(way[aim][1] - at[1]));
    if (off < 0.6 && aim + 1 < way.size()) ++aim;
    for (size_t i = 0; i < 2; ++i) action[i] = static_cast<float>((way[aim][i] - at[i]) / 2);
    const absl::StatusOr<StepResult> result = env.Step(action, observation);
    EXPECT_TRUE(result.ok() && !result->terminated);
    rewards.push_back(result->reward);
    running = !result->truncated;
  }
  return rewards;
}

TEST_P(EveryMaze, TheWayRoundSolvesItAndTheStraightLineDoesNot) {
  const bool zigzag = GetParam() == "maze_zigzag";
  const std::vector<MazePoint> way =
      zigzag ? std::vector<MazePoint>{{11, 3}, {11, 6.5}, {4, 8}, {4, 11.5}, maze().goal}
             : std::vector<MazePoint>{{9, 5.5}, {9, 9.5}, maze().goal};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> rewards = Follow(*env_, seed, way);
    EXPECT_EQ(rewards.size(), 50);
    size_t first = 0;
    while (first < rewards.size() && rewards[first] != maze().goal_reward) ++first;
    EXPECT_LE(first, zigzag ? 30u : 20u) << seed;
    for (size_t t = first; t < rewards.size(); ++t) EXPECT_EQ(rewards[t], maze().goal_reward);
    for (const float reward : Follow(*env_, seed, {maze().goal})) {
      EXPECT_EQ(reward, maze().other_reward);
    }
  }
}

TEST(Maze, LayoutsAreRegisteredByName) {
  for (const MazeLayout& maze : MazeLayouts()) {
    EXPECT_EQ(FindMaze(maze.name), &maze);
    EXPECT_EQ((*MakeEnvironment(maze.name))->spec().name, maze.name);
    EXPECT_FALSE(Forbidden(maze, maze.start));
    for (const double row : {-1, 1}) {
      for (const double column : {-1, 1}) {
        EXPECT_FALSE(Forbidden(maze, {maze.goal[0] + row, maze.goal[1] + column}));
      }
    }
  }
  EXPECT_EQ(FindMaze("labyrinth"), nullptr);
}

TEST(Maze, PublishesItsReward) {
  for (const MazeLayout& maze : MazeLayouts()) {
    const auto reward = KnownReward(maze.name);
    ASSERT_TRUE(reward.ok()) << reward.status();
    std::vector<float> points, rewards(3);
    for (const MazePoint& point : {maze.start, maze.goal, MazePoint{maze.goal[0] - 1.5, 12.5}}) {
      for (const double x : point) points.push_back(static_cast<float>(x * 2 / kMazeSize - 1));
    }
    (*reward)(points, 2, rewards);
    EXPECT_EQ(rewards,
              (std::vector<float>{maze.other_reward, maze.goal_reward, maze.other_reward}));
  }
  EXPECT_EQ(KnownReward("pendulum").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(KnownReward("labyrinth").status().code(), absl::StatusCode::kNotFound);
}

TEST(Maze, SlidesAlongWhatItHits) {
  const MazeLayout& maze = *FindMaze("maze");
  // Into the wall's side: the part along it goes on.
  EXPECT_EQ(Slide(maze, {4, 5.5}, {1, 2}), (MazePoint{5, 6.5}));
  // Along the wall, and off its end in a straight line.
  EXPECT_EQ(Slide(maze, {7, 6.5}, {2, 1}), (MazePoint{9, 6.5}));
  // From the end of the wall past it.
  EXPECT_EQ(Slide(maze, {8, 6.5}, {0, 3}), (MazePoint{8, 9.5}));
  // Into the wall's end from below, then along it.
  EXPECT_EQ(Slide(maze, {9, 7.5}, {-2, 0.5}), (MazePoint{8, 8}));
  // Into a corner of the maze, and along the edge: no gap between the edge and the wall.
  EXPECT_EQ(Slide(maze, {1, 1}, {-3, -2}), (MazePoint{0, 0}));
  EXPECT_EQ(Slide(maze, {0, 5}, {-1, 9}), (MazePoint{0, 6.5}));
}

}  // namespace
}  // namespace tandem
