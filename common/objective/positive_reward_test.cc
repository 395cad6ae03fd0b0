#include "common/objective/positive_reward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/base/rng.h"
#include "common/objective/joint_reward.h"
#include "common/objective/joint_terms.h"

namespace tandem::objective {
namespace {

constexpr double kDiscount = 0.9;

JointRewardOptions With(RewardTransform transform, double scale = 1) {
  return {.discount = kDiscount, .transform = transform, .reward_scale = scale};
}

JointReward Make(const JointRewardOptions& options) {
  auto made = JointReward::Create(options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

/// The plain formulas, where they neither overflow nor underflow.
TEST(PositiveRewardTest, IsThePlainFormula) {
  for (const double scale : {0.5, 1.0, 7.0}) {
    const JointReward exp = Make(With(RewardTransform::kExp, scale));
    const JointReward softplus = Make(With(RewardTransform::kSoftplus, scale));
    for (double r = -30; r <= 30; r += 0.7) {
      EXPECT_NEAR(exp.Paid(r), 0.1 * std::log(std::exp(r / scale)), 1e-12) << r;
      const long double plain = std::log(1 + std::exp(static_cast<long double>(r) / scale));
      if (r / scale < -30) continue;  // 1 + exp has lost its digits there
      EXPECT_NEAR(softplus.Paid(r), static_cast<double>(0.1L * std::log(plain)), 1e-7) << r;
    }
  }
}

/// To the last bit of a float: what else a recipe sets for the reward holds as it stands.
TEST(PositiveRewardTest, AScaleOfOneLessTheDiscountPaysTheRewardItself) {
  JointRewardOptions options = With(RewardTransform::kExp, 0.01);
  options.discount = 0.99;
  options.weight = 2;
  Rng rng(1);
  std::vector<float> rewards(10000), ratios(10000);
  rng.FillNormal(rewards);
  rng.FillNormal(ratios);
  std::vector<float> paid = rewards, plain = rewards;
  Make(options).Augment(ratios, paid);
  Make({.discount = 0.99, .log_reward = false, .weight = 2}).Augment(ratios, plain);
  EXPECT_EQ(paid, plain);
}

TEST(PositiveRewardTest, NothingOverflowsAndTheEndsAreThoseOfTheLimits) {
  const JointReward exp = Make(With(RewardTransform::kExp));
  const JointReward softplus = Make(With(RewardTransform::kSoftplus));
  EXPECT_NEAR(exp.Paid(1e6), 1e5, 1e-6);
  EXPECT_NEAR(exp.Paid(-1e6), -1e5, 1e-6);
  EXPECT_NEAR(softplus.Paid(-1e6), -1e5, 1e-6);                // as exp
  EXPECT_NEAR(softplus.Paid(1e6), 0.1 * std::log(1e6), 1e-9);  // as the reward itself
  double before = softplus.Paid(-60);
  for (double r = -59.99; r < 60; r += 0.01) {  // over the seam too
    const double now = softplus.Paid(r);
    EXPECT_GT(now, before) << r;
    EXPECT_LT(now - before, 0.1 * 0.0101) << r;
    before = now;
  }
}

TEST(PositiveRewardTest, ATerminalStateAndAFloorAreInItsUnit) {
  JointRewardOptions options = With(RewardTransform::kExp, 2);
  options.terminal_reward = std::exp(-3);
  options.min_reward = std::exp(-5);
  const JointReward reward = Make(options);
  EXPECT_NEAR(reward.Paid(4), 0.1 * (2 + 3), 1e-12);
  EXPECT_NEAR(reward.Paid(-9), 0.1 * (-4.5 + 3), 1e-12);
  EXPECT_NEAR(reward.Paid(-11), 0.1 * (-5 + 3), 1e-12);                       // below the floor
  EXPECT_NEAR(Make(With(RewardTransform::kExp, 2)).Paid(-4000), -200, 1e-9);  // without one
}

TEST(PositiveRewardTest, ARealRewardBelowTheFloorIsRefused) {
  JointRewardOptions options = With(RewardTransform::kExp);
  options.min_reward = std::exp(-5);
  JointReward reward = Make(options);
  EXPECT_TRUE(reward.Observe(std::vector<float>{-5, 900}).ok());
  const absl::Status refused = reward.Observe(std::vector<float>{-6});
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("a smaller min_reward, or none"), std::string::npos) << refused;
  EXPECT_TRUE(Make(With(RewardTransform::kSoftplus)).Observe(std::vector<float>{-1e9f}).ok());
  EXPECT_EQ(reward.shift(), 0);
}

TEST(PositiveRewardTest, AnOptionOfAnotherTransformIsRefused) {
  EXPECT_FALSE(JointReward::Create(With(RewardTransform::kShift, 2)).ok());
  EXPECT_FALSE(JointReward::Create(With(RewardTransform::kExp, 0)).ok());
  JointRewardOptions options = With(RewardTransform::kSoftplus);
  options.reward_shift = 1;
  EXPECT_FALSE(JointReward::Create(options).ok());
  options = With(RewardTransform::kExp);
  options.shift_from_data = true;
  EXPECT_FALSE(JointReward::Create(options).ok());
  options = With(RewardTransform::kExp);
  options.log_reward = false;
  EXPECT_FALSE(JointReward::Create(options).ok());
}

/// A state that was kept while rewards were shifted says nothing to a run that shifts none.
TEST(PositiveRewardTest, AnotherTransformTakesNoShiftFromAState) {
  JointReward shifted = Make({.shift_from_data = true});
  ASSERT_TRUE(shifted.Observe(std::vector<float>{-3}).ok());
  nn::TensorFile file;
  shifted.SaveState(&file);
  JointReward exp = Make(With(RewardTransform::kExp));
  ASSERT_TRUE(exp.LoadState(file).ok());
  EXPECT_EQ(exp.shift(), 0);
  EXPECT_NEAR(exp.Paid(-3), -0.3, 1e-12);
}

TEST(JointTermsTest, SayHowRewardsAreMadePositive) {
  for (const RewardTransform transform :
       {RewardTransform::kShift, RewardTransform::kExp, RewardTransform::kSoftplus}) {
    const bool shifted = transform == RewardTransform::kShift;
    const JointTerms terms{.discount = 0.8,
                           .reward = {.transform = transform,
                                      .shift = shifted ? 4.0 : 0.0,
                                      .scale = shifted ? 1.0 : 2.5,
                                      .min_reward = shifted ? 0.25 : 0.0,
                                      .terminal_reward = 0.5}};
    nn::TensorFile file;
    terms.Export(&file);
    EXPECT_EQ(file.metadata.contains("joint.reward_scale"), !shifted);
    const auto found = JointTerms::Import(file);
    ASSERT_TRUE(found.ok()) << found.status();
    for (const double r : {-3.0, 0.0, 20.0}) EXPECT_EQ(found->reward.Log(r), terms.reward.Log(r));
    file.metadata["joint.min_reward"] = shifted ? "0" : "-1";
    EXPECT_EQ(JointTerms::Import(file).status().code(), absl::StatusCode::kInvalidArgument);
  }
  nn::TensorFile file;
  JointTerms{}.Export(&file);
  file.metadata["joint.reward_transform"] = "square";
  EXPECT_EQ(JointTerms::Import(file).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tandem::objective
