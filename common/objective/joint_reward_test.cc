#include "common/objective/joint_reward.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::objective {
namespace {

JointReward Make(const JointRewardOptions& options) {
  auto made = JointReward::Create(options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

TEST(JointRewardTest, IsEquationOneByHand) {
  // (1 - 0.9) log 7.389056 = 0.1 * 2.
  const float r = 7.389056f;
  std::vector<float> rewards = {r, 1, r};
  const std::vector<float> ratios = {-1.5f, -0.5f, 0};
  Make({.discount = 0.9, .weight = 1}).Augment(ratios, rewards);
  EXPECT_NEAR(rewards[0], 0.2 - 1.5, 1e-6);
  EXPECT_NEAR(rewards[1], 0.0 - 0.5, 1e-6);
  EXPECT_NEAR(rewards[2], 0.2, 1e-6);

  rewards = {r, 1, r};
  Make({.discount = 0.9, .weight = 0.2}).Augment(ratios, rewards);
  EXPECT_NEAR(rewards[0], 0.2 - 0.3, 1e-6);
  EXPECT_NEAR(rewards[1], 0.0 - 0.1, 1e-6);

  rewards = {r};
  Make({.discount = 0.9}).Augment({}, rewards);  // real rows: no log-ratio
  EXPECT_NEAR(rewards[0], 0.2, 1e-6);
}

TEST(JointRewardTest, ATerminalStatePaysItsRewardForEver) {
  // Living n steps on reward 1 and then ending must be worth what the sum of the plain equation is
  // when the absorbing state goes on paying 0.1, up to the constant log 0.1 of the latter.
  constexpr double kDiscount = 0.9;
  const JointReward reward =
      Make({.discount = kDiscount, .min_reward = 0.1, .terminal_reward = 0.1});
  double ended = 0, absorbed = 0, power = 1;
  for (int t = 0; t < 400; ++t, power *= kDiscount) {
    if (t < 5) ended += power * reward.Paid(1);
    absorbed += power * (1 - kDiscount) * std::log(t < 5 ? 1.0 : 0.1);
  }
  EXPECT_NEAR(ended, absorbed - std::log(0.1), 1e-6);
  EXPECT_GT(reward.Paid(1), 0);  // to live is better than to end
}

TEST(JointRewardTest, NonPositiveRewardsNeedAShift) {
  JointReward reward = Make({.reward_shift = 1, .min_reward = 0.01});
  EXPECT_TRUE(reward.Observe(std::vector<float>{-0.9f, 3}).ok());
  const absl::Status refused = reward.Observe(std::vector<float>{2, -1.5f});
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("reward_shift >= 1.51"));
  EXPECT_FALSE(reward.Observe(std::vector<float>{NAN}).ok());
}

TEST(JointRewardTest, TheShiftThatARefusalNamesIsTaken) {
  for (const float smallest : {-16.2736044f, -1234567.9f, -3e-5f, 0.0f}) {
    const std::vector<float> real = {smallest};
    const absl::Status refused = Make({.reward_shift = -1}).Observe(real);
    const std::string text(refused.message());
    const std::string before = "reward_shift >= ";
    ASSERT_NE(text.find(before), std::string::npos) << text;
    const double named = std::stod(text.substr(text.find(before) + before.size()));
    EXPECT_GE(named, 0.001 - smallest - 1e-9 * (0.001 - smallest));
    EXPECT_TRUE(Make({.reward_shift = named}).Observe(real).ok()) << text;
    EXPECT_FALSE(Make({.reward_shift = named - 1e-4 - 1e-5 * named}).Observe(real).ok()) << text;
  }
}

TEST(JointRewardTest, AShiftFromDataOnlyGrows) {
  JointReward reward = Make({.discount = 0.5, .shift_from_data = true, .min_reward = 0.5});
  ASSERT_TRUE(reward.Observe(std::vector<float>{4, 2}).ok());
  EXPECT_EQ(reward.shift(), 0);  // positive already
  ASSERT_TRUE(reward.Observe(std::vector<float>{-3}).ok());
  EXPECT_NEAR(reward.shift(), 3.5, 1e-6);
  ASSERT_TRUE(reward.Observe(std::vector<float>{-1}).ok());
  EXPECT_NEAR(reward.shift(), 3.5, 1e-6);
  EXPECT_NEAR(reward.Paid(-3), 0.5 * std::log(0.5), 1e-6);
  EXPECT_NEAR(reward.Paid(-1e9), 0.5 * std::log(0.5), 1e-6);  // imagined: raised to the smallest
}

TEST(JointRewardTest, LinearWeightReachesItsEndAndStays) {
  JointReward reward =
      Make({.kind = RatioWeight::kLinear, .weight = 0.1, .weight_end = 0.5, .ramp_updates = 4});
  EXPECT_NEAR(reward.weight(), 0.1, 1e-12);
  for (const double expected : {0.2, 0.3, 0.4, 0.5, 0.5}) {
    reward.Advance(7);
    EXPECT_NEAR(reward.weight(), expected, 1e-12);
  }
}

TEST(JointRewardTest, UntilTheWarmUpIsOverTheRatioIsNotPaid) {
  JointReward reward = Make({.discount = 0.5, .weight = 0.5, .warmup_updates = 2});
  const std::vector<float> ratios = {-1};
  for (const double paid : {0.0, 0.0, -0.5, -0.5}) {
    std::vector<float> rewards = {1};
    reward.Augment(ratios, rewards);
    EXPECT_NEAR(rewards[0], paid, 1e-7);
    reward.Advance(7);
  }
}

TEST(JointRewardTest, WhatMovesTheWeightBeginsAfterTheWarmUp) {
  const std::vector<JointRewardOptions> moved = {
      {.kind = RatioWeight::kLinear, .weight = 0.1, .weight_end = 0.5, .ramp_updates = 4},
      {.kind = RatioWeight::kDual, .weight = 0.3, .weight_lr = 0.01}};
  for (JointRewardOptions options : moved) {
    JointReward plain = Make(options);
    options.warmup_updates = 3;
    JointReward late = Make(options);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(late.weight(), 0);
      late.Advance(99);
      nn::TensorFile file;  // a restart within it goes on with it
      late.SaveState(&file);
      late = Make(options);
      ASSERT_TRUE(late.LoadState(file).ok());
    }
    for (int i = 0; i < 6; ++i) {
      EXPECT_EQ(late.weight(), plain.weight()) << i;
      late.Advance(0.2 * i);
      plain.Advance(0.2 * i);
    }
  }
}

/// A player whose divergence answers the weight as 1 / (1 + 10 w): the dual must find w = 0.4,
/// where it is 0.2, from either side.
TEST(JointRewardTest, DualReachesItsTarget) {
  for (const double start : {0.02, 1.0}) {
    JointReward reward = Make(
        {.kind = RatioWeight::kDual, .weight = start, .target_divergence = 0.2, .weight_lr = 3e-3});
    for (int i = 0; i < 4000; ++i) reward.Advance(1 / (1 + 10 * reward.weight()));
    EXPECT_NEAR(reward.weight(), 0.4, 0.02) << start;
  }
}

TEST(JointRewardTest, DualFallsAsSlowlyAsItIsTold) {
  const double start = 0.5, rate = 1e-2;
  const auto after = [&](double fall, double divergence) {
    JointReward reward = Make({.kind = RatioWeight::kDual,
                               .weight = start,
                               .target_divergence = 0.2,
                               .weight_lr = rate,
                               .weight_fall = fall,
                               .max_weight = 10});
    for (int i = 0; i < 50; ++i) reward.Advance(divergence);
    return std::log(reward.weight() / start);
  };
  // A constant gradient is a step of Adam's rate.
  EXPECT_NEAR(after(1, 0.3), 50 * rate, 1e-6);
  EXPECT_NEAR(after(0.1, 0.3), 50 * rate, 1e-6);
  EXPECT_NEAR(after(1, 0.1), -50 * rate, 1e-6);
  EXPECT_NEAR(after(0.1, 0.1), -0.1 * 50 * rate, 1e-6);
  for (const double fall : {0.0, 1.1, -1.0}) {
    EXPECT_FALSE(JointReward::Create({.weight_fall = fall}).ok()) << fall;
  }
}

TEST(JointRewardTest, DualStaysInItsRange) {
  const JointRewardOptions options{.kind = RatioWeight::kDual, .weight_lr = 0.1, .max_weight = 0.7};
  JointReward up = Make(options), down = Make(options);
  for (int i = 0; i < 1000; ++i) {
    up.Advance(5);
    down.Advance(0);
  }
  EXPECT_NEAR(up.weight(), 0.7, 1e-12);
  EXPECT_NEAR(down.weight(), options.min_weight, 1e-12);
  up.Advance(NAN);
  EXPECT_NEAR(up.weight(), 0.7, 1e-12);
}

TEST(JointRewardTest, GoesOnFromItsState) {
  const JointRewardOptions options{
      .shift_from_data = true, .kind = RatioWeight::kDual, .target_divergence = 0.2};
  JointReward one = Make(options);
  ASSERT_TRUE(one.Observe(std::vector<float>{-2}).ok());
  for (int i = 0; i < 10; ++i) one.Advance(0.1 * i);
  nn::TensorFile file;
  one.SaveState(&file);
  JointReward two = Make(options);
  ASSERT_TRUE(two.LoadState(file).ok());
  one.Advance(0.3);
  two.Advance(0.3);
  EXPECT_EQ(one.weight(), two.weight());
  EXPECT_EQ(one.shift(), two.shift());
  file.metadata["joint_reward.weight"] = "nan";
  EXPECT_FALSE(two.LoadState(file).ok());
}

TEST(JointRewardTest, RefusesOptionsOutOfRange) {
  EXPECT_FALSE(JointReward::Create({.discount = 1}).ok());
  EXPECT_FALSE(JointReward::Create({.min_reward = 0}).ok());
  EXPECT_FALSE(JointReward::Create({.terminal_reward = 0}).ok());
  EXPECT_FALSE(JointReward::Create({.weight = -1}).ok());
  EXPECT_FALSE(JointReward::Create({.warmup_updates = -1}).ok());
  EXPECT_FALSE(JointReward::Create({.min_weight = 2, .max_weight = 1}).ok());
}

}  // namespace
}  // namespace tandem::objective
