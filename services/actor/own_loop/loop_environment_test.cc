#include "services/actor/own_loop/loop_environment.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

namespace tandem::actor {
namespace {

EnvironmentSpec Spec() {
  EnvironmentSpec spec;
  spec.name = "robot";
  spec.observation = {{-9, -9}, {9, 9}};
  spec.action = {{-1}, {1}};
  return spec;
}

std::vector<float> Row(std::span<const float> row) { return {row.begin(), row.end()}; }

TEST(LoopEnvironment, HandsActionsOverAndTakesWhatCameOfThem) {
  LoopEnvironment env(Spec());
  std::vector<float> actions;
  std::thread robot([&] {
    ASSERT_TRUE(env.Begin(std::vector<float>{0, 1}).ok());
    for (int t = 1; t <= 3; ++t) {
      const auto action = env.Act();
      ASSERT_TRUE(action.ok()) << action.status();
      actions.push_back((*action)[0]);
      ASSERT_TRUE(env.Record(static_cast<float>(t), std::vector<float>{static_cast<float>(t), 1},
                             /*terminated=*/t == 3, /*truncated=*/false)
                      .ok());
    }
    ASSERT_TRUE(env.Begin(std::vector<float>{7, 2}).ok());
  });
  ASSERT_TRUE(env.ResetAll(std::nullopt).ok());
  EXPECT_EQ(env.outcomes()[0], Outcome::kStarted);
  EXPECT_EQ(Row(env.observations()), (std::vector<float>{0, 1}));
  for (int t = 1; t <= 3; ++t) {
    ASSERT_TRUE(env.Step(std::vector<float>{0.1f * static_cast<float>(t)}).ok());
    EXPECT_EQ(env.outcomes()[0], Outcome::kStepped);
    EXPECT_EQ(env.results()[0].reward, static_cast<float>(t));
    EXPECT_EQ(env.results()[0].terminated, t == 3);
    EXPECT_EQ(Row(env.final_observations()), (std::vector<float>{static_cast<float>(t), 1}));
  }
  ASSERT_TRUE(env.Step(std::vector<float>{0}).ok());  // waits for the next episode
  EXPECT_EQ(env.outcomes()[0], Outcome::kStarted);
  EXPECT_EQ(Row(env.observations()), (std::vector<float>{7, 2}));
  robot.join();
  EXPECT_EQ(actions, (std::vector<float>{0.1f, 0.2f, 0.3f}));
}

TEST(LoopEnvironment, AnEpisodeThatIsLeftIsLostAndTheNextOneStarts) {
  LoopEnvironment env(Spec());
  ASSERT_TRUE(env.Begin(std::vector<float>{0, 0}).ok());
  ASSERT_TRUE(env.ResetAll(std::nullopt).ok());
  std::thread robot([&] {
    ASSERT_TRUE(env.Act().ok());
    ASSERT_TRUE(env.Begin(std::vector<float>{5, 5}).ok());  // instead of Record
  });
  ASSERT_TRUE(env.Step(std::vector<float>{0}).ok());
  EXPECT_EQ(env.outcomes()[0], Outcome::kLost);
  ASSERT_TRUE(env.Step(std::vector<float>{0}).ok());
  EXPECT_EQ(env.outcomes()[0], Outcome::kStarted);
  EXPECT_EQ(Row(env.observations()), (std::vector<float>{5, 5}));
  robot.join();
}

TEST(LoopEnvironment, WhatWasRecordedCountsBeforeTheEpisodeIsLeft) {
  LoopEnvironment env(Spec());
  ASSERT_TRUE(env.Begin(std::vector<float>{0, 0}).ok());
  ASSERT_TRUE(env.ResetAll(std::nullopt).ok());
  std::thread robot([&] {
    ASSERT_TRUE(env.Act().ok());
    ASSERT_TRUE(env.Record(3, std::vector<float>{1, 1}, false, false).ok());
    ASSERT_TRUE(env.Begin(std::vector<float>{5, 5}).ok());
  });
  ASSERT_TRUE(env.Step(std::vector<float>{0}).ok());
  robot.join();
  EXPECT_EQ(env.outcomes()[0], Outcome::kStepped);
  EXPECT_EQ(Row(env.observations()), (std::vector<float>{1, 1}));
  ASSERT_TRUE(env.Step(std::vector<float>{0}).ok());
  EXPECT_EQ(env.outcomes()[0], Outcome::kLost);
  ASSERT_TRUE(env.Step(std::vector<float>{0}).ok());
  EXPECT_EQ(env.outcomes()[0], Outcome::kStarted);
}

TEST(LoopEnvironment, RefusesCallsOutOfTurnAndBadNumbers) {
  LoopEnvironment env(Spec());
  const std::vector<float> good = {0, 0};
  EXPECT_EQ(env.Act().status().message(), "expected Begin before Act");
  EXPECT_EQ(env.Record(0, good, false, false).message(), "expected Act before Record");
  EXPECT_EQ(env.Begin(std::vector<float>{0}).message(),
            "robot: expected 2 numbers in the observation, got 1");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(env.Begin(std::vector<float>{0, nan}).message(),
            "robot: expected finite observations, got nan in element 1");
  EXPECT_EQ(env.Record(nan, good, false, false).message(),
            "robot: expected a finite reward, got nan");
}

TEST(LoopEnvironment, StopEndsEveryWait) {
  LoopEnvironment env(Spec());
  ASSERT_TRUE(env.Begin(std::vector<float>{0, 0}).ok());
  std::thread robot([&] { EXPECT_TRUE(absl::IsCancelled(env.Act().status())); });
  env.Stop();
  robot.join();
  EXPECT_TRUE(absl::IsCancelled(env.ResetAll(std::nullopt)));
  EXPECT_TRUE(absl::IsCancelled(env.Step(std::vector<float>{0})));
}

}  // namespace
}  // namespace tandem::actor
