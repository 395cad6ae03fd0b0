#include "services/policy_trainer/core/real_sampler.h"

#include <gtest/gtest.h>

#include <thread>

#include "common/clients/testing/fake_replay_client.h"

namespace tandem::policy_trainer {
namespace {

EnvironmentSpec Spec(int64_t obs_dim) {
  return {.name = "test",
          .observation = {.low = std::vector<float>(obs_dim, -1),
                          .high = std::vector<float>(obs_dim, 1)},
          .action = {.low = {-1}, .high = {1}}};
}

TransitionBatch Steps(int64_t count) {
  TransitionBatch steps{.obs_dim = 1, .action_dim = 1};
  for (int64_t i = 0; i < count; ++i) {
    steps.observations.push_back(static_cast<float>(i));
    steps.actions.push_back(0);
    steps.rewards.push_back(static_cast<float>(i));
    steps.next_observations.push_back(static_cast<float>(i + 1));
    steps.terminated.push_back(0);
    steps.splits.push_back(static_cast<uint8_t>(Split::kTrain));
  }
  return steps;
}

class RealSamplerTest : public testing::Test {
 protected:
  RealSamplerTest() { replay_.AddSteps(Steps(100)); }
  RealSampler Sampler(int64_t obs_dim = 1) {
    return RealSampler(replay_, Spec(obs_dim), stop_, *Clock::Real());
  }
  FakeReplayClient replay_;
  StopSignal stop_;
};

TEST_F(RealSamplerTest, TheSameSeedAndBoundGiveTheSameRows) {
  RealSampler sampler = Sampler();
  const auto first = sampler.Sample(SampleKind::kTransitions, 32, 5, 50);
  const auto again = sampler.Sample(SampleKind::kTransitions, 32, 5, 50);
  const auto other = sampler.Sample(SampleKind::kTransitions, 32, 6, 50);
  ASSERT_TRUE(first.ok() && again.ok() && other.ok());
  EXPECT_EQ(first->rewards, again->rewards);
  EXPECT_NE(first->rewards, other->rewards);
  for (const float reward : first->rewards) EXPECT_LT(reward, 50);
}

TEST_F(RealSamplerTest, TriesAgainWhereThePeerIsAway) {
  RealSampler sampler = Sampler();
  replay_.FailNext(absl::UnavailableError("connection reset"), 2);
  EXPECT_TRUE(sampler.Sample(SampleKind::kStartStates, 8, 5, 50).ok());
  EXPECT_EQ(replay_.calls("OpenSample"), 3);
}

TEST_F(RealSamplerTest, RefusesRowsOfAnotherShape) {
  const auto batch = Sampler(/*obs_dim=*/3).Sample(SampleKind::kTransitions, 8, 5, 50);
  EXPECT_TRUE(absl::IsInvalidArgument(batch.status())) << batch.status();
}

TEST_F(RealSamplerTest, StopEndsItsTries) {
  RealSampler sampler = Sampler();
  replay_.FailNext(absl::UnavailableError("away for good"), 1 << 20);
  std::thread other([this] {
    while (replay_.calls("OpenSample") < 2) absl::SleepFor(absl::Milliseconds(2));
    stop_.Stop();
  });
  const auto batch = sampler.Sample(SampleKind::kTransitions, 8, 5, 50);
  other.join();
  EXPECT_TRUE(absl::IsCancelled(batch.status())) << batch.status();
}

}  // namespace
}  // namespace tandem::policy_trainer
