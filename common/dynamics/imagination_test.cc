#include "common/dynamics/imagination.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::dynamics {
namespace {

/// Observation (x): x' = x + a, reward = x, ends where x' >= 10; NaN where a > 100.
class CountingModel : public DynamicsModel {
 public:
  int64_t obs_dim() const override { return 1; }
  int64_t action_dim() const override { return 1; }
  const std::vector<int>& elites() const override { return elites_; }

  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng&,
                    ModelStep* step) override {
    largest_ = std::max(largest_, observations.size());
    step->next_observations.clear();
    step->rewards.assign(observations.begin(), observations.end());
    step->terminated.clear();
    for (size_t i = 0; i < observations.size(); ++i) {
      const float next =
          actions[i] > 100 ? std::numeric_limits<float>::quiet_NaN() : observations[i] + actions[i];
      step->next_observations.push_back(next);
      step->terminated.push_back(next >= 10 ? 1 : 0);
    }
    return absl::OkStatus();
  }

  absl::Status Predict(int, std::span<const float>, std::span<const float>,
                       MemberPrediction*) override {
    return absl::UnimplementedError("not needed");
  }

  size_t largest_ = 0;

 private:
  const std::vector<int> elites_ = {0, 1};
};

absl::Status AddOne(std::span<const float> observations, std::span<float> actions) {
  EXPECT_EQ(observations.size(), actions.size());
  std::fill(actions.begin(), actions.end(), 1.0f);
  return absl::OkStatus();
}

TEST(Imagine, RolloutsEndAtTheHorizonOrWhereTheModelTerminates) {
  CountingModel model;
  Rng rng(1);
  TransitionBatch out;
  int64_t dropped = 0;
  const std::vector<float> starts = {0, 8};
  ASSERT_TRUE(Imagine(model, AddOne, starts, {.horizon = 4}, rng, {}, &out, &dropped).ok());
  EXPECT_EQ(dropped, 0);
  EXPECT_THAT(out.observations, ::testing::ElementsAre(0, 8, 1, 9, 2, 3));
  EXPECT_THAT(out.next_observations, ::testing::ElementsAre(1, 9, 2, 10, 3, 4));
  EXPECT_THAT(out.terminated, ::testing::ElementsAre(0, 0, 0, 1, 0, 0));
  EXPECT_THAT(out.rewards, ::testing::ElementsAre(0, 8, 1, 9, 2, 3));
  EXPECT_EQ(out.size(), 6);
}

TEST(Imagine, RowsThatAreNotFiniteAreDroppedAndCounted) {
  CountingModel model;
  Rng rng(1);
  TransitionBatch out;
  int64_t dropped = 0;
  const auto act = [](std::span<const float> observations, std::span<float> actions) {
    for (size_t i = 0; i < actions.size(); ++i) actions[i] = observations[i] == 2 ? 1000.0f : 1.0f;
    return absl::OkStatus();
  };
  const std::vector<float> starts = {1, 5};
  ASSERT_TRUE(Imagine(model, act, starts, {.horizon = 3}, rng, {}, &out, &dropped).ok());
  EXPECT_EQ(dropped, 1);
  EXPECT_THAT(out.observations, ::testing::ElementsAre(1, 5, 6, 7));
}

TEST(Imagine, ManyRowsGoInBlocksAndCanBeCancelled) {
  CountingModel model;
  Rng rng(1);
  TransitionBatch out;
  int64_t dropped = 0;
  const std::vector<float> starts(2500, 0.0f);
  size_t largest = 0;
  const auto act = [&](std::span<const float> observations, std::span<float> actions) {
    largest = std::max(largest, observations.size());
    return AddOne(observations, actions);
  };
  ASSERT_TRUE(
      Imagine(model, act, starts, {.horizon = 1, .block_rows = 64}, rng, {}, &out, &dropped).ok());
  EXPECT_EQ(out.size(), 2500);
  EXPECT_EQ(largest, 64u);
  EXPECT_EQ(model.largest_, 512u);  // 4 blocks for each elite
  int asked = 0;
  EXPECT_EQ(Imagine(
                model, act, starts, {.horizon = 1, .block_rows = 64}, rng,
                [&] { return ++asked > 3; }, &out, &dropped)
                .code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(out.size(), 2500 + 3 * 512);
  EXPECT_EQ(Imagine(model, act, starts, {.horizon = 0}, rng, {}, &out, &dropped).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ImaginedReturns, SumRewardsUntilTheEnd) {
  CountingModel model;
  Rng rng(1);
  const std::vector<float> starts = {0, 8, 3};
  std::vector<double> returns(3);
  const auto add_one = [](int64_t, std::span<const int64_t>, std::span<const float> observations,
                          std::span<float> actions) { return AddOne(observations, actions); };
  ASSERT_TRUE(ImaginedReturns(model, add_one, starts, 2, 4, rng, {}, returns).ok());
  EXPECT_THAT(returns, ::testing::ElementsAre(0 + 1 + 2 + 3, 8 + 9, 3 + 4 + 5 + 6));
  std::vector<double> wrong(2);
  EXPECT_FALSE(ImaginedReturns(model, add_one, starts, 2, 4, rng, {}, wrong).ok());
}

TEST(ImaginedReturns, WhoActsIsToldTheStepAndWhereItBegan) {
  CountingModel model;
  Rng rng(1);
  std::vector<float> starts(800);  // with 2 rollouts each, more than 3 chunks of 512 rows
  for (size_t i = 0; i < starts.size(); ++i) starts[i] = i % 3 == 0 ? 9.0f : 0.0f;
  const auto act = [&](int64_t t, std::span<const int64_t> from,
                       std::span<const float> observations, std::span<float> actions) {
    EXPECT_EQ(from.size(), observations.size());
    for (size_t i = 0; i < from.size(); ++i) {
      // A third ends at once, and the others move up in the batch.
      EXPECT_EQ(observations[i], starts[from[i]] + static_cast<float>(t));
      actions[i] = 1;
    }
    return absl::OkStatus();
  };
  std::vector<double> returns(starts.size());
  ASSERT_TRUE(ImaginedReturns(model, act, starts, 2, 3, rng, {}, returns).ok());
  EXPECT_EQ(returns[0], 9);
  EXPECT_EQ(returns[799], 0 + 1 + 2);
}

TEST(ImaginedReturns, OfARolloutThatIsNotFiniteIsNotKnown) {
  CountingModel model;
  Rng rng(1);
  const std::vector<float> starts = {1, 5, 9};
  const auto act = [](int64_t, std::span<const int64_t>, std::span<const float> observations,
                      std::span<float> actions) {
    for (size_t i = 0; i < actions.size(); ++i) actions[i] = observations[i] == 2 ? 1000.0f : 1.0f;
    return absl::OkStatus();
  };
  std::vector<double> returns(3);
  ASSERT_TRUE(ImaginedReturns(model, act, starts, 2, 3, rng, {}, returns).ok());
  EXPECT_TRUE(std::isnan(returns[0])) << "not 1, what it had returned until then";
  EXPECT_EQ(returns[1], 5 + 6 + 7);
  EXPECT_EQ(returns[2], 9);
}

TEST(HorizonAt, GrowsLinearlyBetweenItsEnds) {
  EXPECT_EQ(HorizonAt(0, 1, 15, 20, 150), 1);
  EXPECT_EQ(HorizonAt(20, 1, 15, 20, 150), 1);
  EXPECT_EQ(HorizonAt(85, 1, 15, 20, 150), 8);
  EXPECT_EQ(HorizonAt(150, 1, 15, 20, 150), 15);
  EXPECT_EQ(HorizonAt(1000, 1, 15, 20, 150), 15);
  EXPECT_EQ(HorizonAt(1000, 1, 1, 0, 0), 1);
}

}  // namespace
}  // namespace tandem::dynamics
