#include "common/dynamics/disagreement.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/dynamics/imagination.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::dynamics {
namespace {

/// Observation (x): elites 0 and 2 say x' = x + 1 -+ x (so they differ by 2 x), reward -+ x;
/// member 1 is no elite. Steps go x' = x + 1 with reward 10.
class SplitModel : public DynamicsModel {
 public:
  int64_t obs_dim() const override { return 1; }
  int64_t action_dim() const override { return 1; }
  const std::vector<int>& elites() const override { return elites_; }
  const std::vector<float>& target_stds() const override { return stds_; }

  absl::Status Step(std::span<const float> observations, std::span<const float>, Rng&,
                    ModelStep* step) override {
    step->next_observations.assign(observations.begin(), observations.end());
    for (float& x : step->next_observations) x += 1;
    step->rewards.assign(observations.size(), 10);
    step->terminated.assign(observations.size(), 0);
    return absl::OkStatus();
  }

  absl::Status Predict(int member, std::span<const float> observations, std::span<const float>,
                       MemberPrediction* out) override {
    EXPECT_NE(member, 1);
    const float sign = member == 0 ? -1 : 1;
    out->next_means.clear();
    out->reward_means.clear();
    for (const float x : observations) {
      out->next_means.push_back(x + 1 + sign * x);
      out->reward_means.push_back(sign * x);
    }
    return absl::OkStatus();
  }

  std::vector<int> elites_ = {0, 2};
  std::vector<float> stds_ = {2, 4};  // of the change and of the reward
};

absl::Status Still(std::span<const float>, std::span<float> actions) {
  std::fill(actions.begin(), actions.end(), 0.0f);
  return absl::OkStatus();
}

/// By hand: the elites' standard deviation is x in both outputs.
double Expected(double x) { return std::sqrt((x * x / 4 + x * x / 16) / 2); }

TEST(Disagreement, IsTheRootMeanVarianceInUnitsOfTheTargets) {
  SplitModel model;
  Disagreement disagreement(model);
  std::vector<float> u;
  ASSERT_TRUE(disagreement.Of(std::vector<float>{0, 3, -1}, std::vector<float>(3), &u).ok());
  ASSERT_EQ(u.size(), 3u);
  EXPECT_EQ(u[0], 0);
  EXPECT_NEAR(u[1], Expected(3), 1e-6);
  EXPECT_NEAR(u[2], Expected(1), 1e-6);
  model.elites_ = {0};
  ASSERT_TRUE(disagreement.Of(std::vector<float>{5}, std::vector<float>(1), &u).ok());
  EXPECT_NEAR(u[0], 0, 1e-6);
  model.stds_.clear();
  EXPECT_EQ(disagreement.Of(std::vector<float>{5}, std::vector<float>(1), &u).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Imagine, PessimismTakesTheDisagreementOffTheReward) {
  SplitModel model;
  Rng rng(1);
  TransitionBatch out;
  int64_t dropped = 0;
  const std::vector<float> starts = {1};
  ASSERT_TRUE(
      Imagine(model, Still, starts, {.horizon = 3, .pessimism = 0.5}, rng, {}, &out, &dropped)
          .ok());
  ASSERT_EQ(out.rewards.size(), 3u);
  for (int t = 0; t < 3; ++t) EXPECT_NEAR(out.rewards[t], 10 - 0.5 * 4 * Expected(1 + t), 1e-5);
}

TEST(Imagine, RolloutsEndBeforeStepsThatDisagreeFarMoreThanAtTheStart) {
  SplitModel model;
  Rng rng(1);
  TransitionBatch out;
  int64_t dropped = 0, truncated = 0;
  const std::vector<float> starts(100, 1.0f);  // u grows like x: the limit lies at x = 2.5
  ASSERT_TRUE(Imagine(model, Still, starts, {.horizon = 4, .truncate_above = 2.5}, rng, {}, &out,
                      &dropped, &truncated)
                  .ok());
  EXPECT_EQ(out.size(), 200);  // x = 1 and 2
  EXPECT_EQ(*std::max_element(out.observations.begin(), out.observations.end()), 2);
  EXPECT_EQ(std::count(out.terminated.begin(), out.terminated.end(), 1), 0);
  EXPECT_EQ(truncated, 100);
  EXPECT_EQ(dropped, 0);
  EXPECT_NEAR(out.rewards[0], 10, 1e-6);  // no penalty
}

}  // namespace
}  // namespace tandem::dynamics
