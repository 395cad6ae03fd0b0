#include <cmath>

#include "bench/maze_run.h"
#include "common/nn/device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::bench {
namespace {

const bool kOneThread = nn::ConfigureThreads(1).ok();

/// The experiment in little.
MazeOptions Small(MazeMethod method) {
  MazeOptions options;
  options.method = method;
  options.iterations = 2;
  options.transitions = 1000;
  options.first_fit_steps = 200;
  options.fit_steps = 20;
  options.rollouts = 200;
  options.updates = 20;
  options.classifier.first_steps = 150;
  options.classifier.fit_steps = 20;
  return options;
}

TEST(MazeRunTest, EveryMethodRunsAndIsAFunctionOfItsSeed) {
  for (const char* name : {"mbpo", "mbpo_log", "variance", "mnm", "mnm_dual"}) {
    const auto method = ParseMazeMethod(name);
    ASSERT_TRUE(method.ok());
    EXPECT_STREQ(Name(*method), name);
    const auto one = RunMaze(Small(*method)), two = RunMaze(Small(*method));
    ASSERT_TRUE(one.ok()) << one.status();
    ASSERT_EQ(one->iterations.size(), 2u);
    EXPECT_EQ(one->iterations[1].stay_model, two->iterations[1].stay_model) << name;
    EXPECT_EQ(one->divergence, two->divergence) << name;
    const bool pays = *method == MazeMethod::kMnm || *method == MazeMethod::kMnmDual;
    EXPECT_EQ(one->iterations[1].weight > 0, pays) << name;
    EXPECT_TRUE(std::isfinite(one->model_error));
  }
  EXPECT_FALSE(ParseMazeMethod("sac").ok());
}

TEST(MazeRunTest, TheLogRatioIsPaidAtTheWall) {
  MazeOptions options = Small(MazeMethod::kMnm);
  options.transitions = 8000;
  options.first_fit_steps = 1500;
  options.classifier.first_steps = 1000;
  options.iterations = 1;
  const auto result = RunMaze(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->accuracy, 0.5);
  EXPECT_GT(result->wall_divergence, result->free_divergence);
}

TEST(MazeRunTest, TheJointObjectiveGoesRoundTheWallWhereTheRewardAloneGoesThroughIt) {
  const auto solved = [](MazeMethod method) {
    int count = 0;
    for (uint64_t seed = 0; seed < 3; ++seed) {
      MazeOptions options;
      options.method = method;
      options.seed = seed;
      const auto result = RunMaze(options);
      EXPECT_TRUE(result.ok()) << result.status();
      count += result.ok() && result->iterations.back().solved() ? 1 : 0;
    }
    return count;
  };
  EXPECT_GE(solved(MazeMethod::kMnm), 2);
  EXPECT_EQ(solved(MazeMethod::kMbpo), 0);
}

TEST(MazeRunTest, RewardsOfZeroAreShifted) {
  MazeOptions options = Small(MazeMethod::kMnm);
  options.maze = "maze_sparse";
  EXPECT_TRUE(RunMaze(options).ok());
  options.maze = "labyrinth";
  EXPECT_EQ(RunMaze(options).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tandem::bench
