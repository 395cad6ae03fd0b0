#include "services/policy_trainer/options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/config/config.h"

namespace tandem::policy_trainer {
namespace {

absl::StatusOr<ServiceOptions> From(std::vector<std::string> overrides) {
  overrides.insert(overrides.begin(),
                   {"env.name=pendulum", "endpoints.listen=unix:/a",
                    "endpoints.replay_buffer=unix:/b", "endpoints.model_trainer=unix:/c"});
  const auto config = config::Load("", overrides);
  if (!config.ok()) return config.status();
  return OptionsFrom(*config);
}

TEST(PolicyTrainerOptions, TakesItsPartOfTheConfig) {
  const auto options = From(
      {"endpoints.member=pt", "policy.hidden=[32]", "policy.lr=0.5", "policy.temperature_lr=0",
       "policy.initial_temperature=0.3", "policy.tau=0.1", "policy.discount=0.9",
       "policy.batch_size=64", "policy.publish_interval=20", "policy.seed=9",
       "imagination.rollouts_per_refit=1000", "imagination.horizon_start=2",
       "imagination.horizon_end=4", "imagination.schedule_start=10", "imagination.schedule_end=20",
       "imagination.retain_refits=3", "imagination.real_share=0.5", "imagination.pessimism=0.25",
       "imagination.truncate_above=2"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->trainer.member, "pt");
  EXPECT_TRUE(options->trainer.lockstep);
  EXPECT_EQ(options->trainer.batch_size, 64);
  EXPECT_EQ(options->trainer.real_share, 0.5);
  EXPECT_EQ(options->trainer.publish_interval, 20);
  EXPECT_EQ(options->trainer.seed, 9u);
  EXPECT_EQ(options->trainer.imagination.rollouts_per_refit, 1000);
  EXPECT_EQ(options->trainer.imagination.horizon_start, 2);
  EXPECT_EQ(options->trainer.imagination.horizon_end, 4);
  EXPECT_EQ(options->trainer.imagination.schedule_start, 10);
  EXPECT_EQ(options->trainer.imagination.schedule_end, 20);
  EXPECT_EQ(options->trainer.imagination.retain_refits, 3);
  EXPECT_EQ(options->trainer.imagination.pessimism, 0.25);
  EXPECT_EQ(options->trainer.imagination.truncate_above, 2);
  EXPECT_TRUE(options->trainer.imagination.exact_model);
  EXPECT_EQ(options->learner.hidden, (std::vector<int>{32}));
  EXPECT_EQ(options->learner.sac.lr, 0.5);
  EXPECT_EQ(options->learner.sac.temperature_lr, 0);
  EXPECT_EQ(options->learner.sac.initial_temperature, 0.3);
  EXPECT_EQ(options->learner.sac.tau, 0.1);
  EXPECT_EQ(options->learner.sac.discount, 0.9);
  EXPECT_FALSE(options->learner.target_entropy.has_value());
  EXPECT_EQ(options->model_trainer, "unix:/c");
}

TEST(PolicyTrainerOptions, AsyncNeedsNoExactModel) {
  const auto options = From({"pace.mode=async", "policy.target_entropy=-3"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->trainer.lockstep);
  EXPECT_FALSE(options->trainer.imagination.exact_model);
  EXPECT_EQ(options->learner.target_entropy, -3);
}

TEST(PolicyTrainerOptions, TakesThePriceForStates) {
  const auto options = From(
      {"objective.kind=mnm", "objective.state_price=true", "objective.state_tolerance=0.5",
       "objective.state_noise=0.1", "objective.state_mixture=0.6", "objective.state_first_steps=70",
       "objective.state_steps=7", "objective.classifier_hidden=[8]", "objective.classifier_lr=0.01",
       "objective.classifier_batch_size=32", "objective.classifier_target=0.99"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->trainer.joint->ratio.state_tolerance, 0.5);
  const objective::StateClassifierOptions& states = *options->trainer.joint->states;
  EXPECT_EQ(states.input_noise, 0.1);
  EXPECT_EQ(states.mixture, 0.6);
  EXPECT_EQ(states.first_steps, 70);
  EXPECT_EQ(states.fit_steps, 7);
  EXPECT_EQ(states.hidden, std::vector<int>{8});
  EXPECT_EQ(states.adam.lr, 0.01);
  EXPECT_EQ(states.batch_size, 32);
  EXPECT_NEAR(states.smoothing, 0.01, 1e-12);
}

TEST(PolicyTrainerOptions, TakesTheJointObjective) {
  auto options = From({});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->trainer.joint.has_value());
  options =
      From({"objective.kind=mnm", "objective.weight_mode=dual", "objective.weight=0.3",
            "objective.divergence_target=0.4", "objective.dual_lr=0.01", "objective.dual_fall=0.1",
            "objective.weight_min=0.1", "objective.weight_max=0.9", "objective.logit_lower=-3",
            "objective.logit_tolerance=0.3", "objective.logit_samples=2",
            "objective.terminal_reward=0.5", "policy.discount=0.9"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->trainer.joint->states.has_value());
  const JointOptions& joint = *options->trainer.joint;
  EXPECT_EQ(joint.reward.kind, objective::RatioWeight::kDual);
  EXPECT_EQ(joint.reward.weight, 0.3);
  EXPECT_EQ(joint.reward.target_divergence, 0.4);
  EXPECT_EQ(joint.reward.weight_lr, 0.01);
  EXPECT_EQ(joint.reward.weight_fall, 0.1);
  EXPECT_EQ(joint.reward.min_weight, 0.1);
  EXPECT_EQ(joint.reward.max_weight, 0.9);
  EXPECT_EQ(joint.reward.discount, 0.9);
  EXPECT_EQ(joint.reward.terminal_reward, 0.5);
  EXPECT_TRUE(joint.reward.log_reward);
  EXPECT_TRUE(joint.reward.shift_from_data);
  EXPECT_EQ(joint.reward.transform, objective::RewardTransform::kShift);
  EXPECT_EQ(joint.reward.warmup_updates, 0);
  EXPECT_FALSE(joint.reward.min_reward.has_value());
  EXPECT_EQ(joint.ratio.lower, -3);
  EXPECT_EQ(joint.ratio.upper, 0);
  EXPECT_EQ(joint.ratio.samples, 2);
  EXPECT_EQ(joint.ratio.tolerance, 0.3);
  options = From({"objective.kind=mnm", "objective.weight_mode=schedule", "objective.weight_end=1",
                  "objective.weight_updates=50", "objective.reward_shift=4",
                  "objective.reward_min=2", "objective.classifier_target=0.9"});
  ASSERT_TRUE(options.ok()) << options.status();
  const objective::JointRewardOptions& reward = options->trainer.joint->reward;
  EXPECT_EQ(reward.kind, objective::RatioWeight::kLinear);
  EXPECT_EQ(reward.weight_end, 1);
  EXPECT_EQ(reward.ramp_updates, 50);
  EXPECT_FALSE(reward.shift_from_data);
  EXPECT_EQ(reward.reward_shift, 4);
  EXPECT_EQ(reward.min_reward, 2);
  EXPECT_NEAR(options->trainer.joint->ratio.best_logit, std::log(9), 1e-12);
  options = From({"objective.kind=mnm", "objective.log_reward=false"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->trainer.joint->reward.log_reward);
}

TEST(PolicyTrainerOptions, TakesHowRewardsAreMadePositiveAndTheWarmUp) {
  const std::pair<const char*, objective::RewardTransform> transforms[] = {
      {"exp", objective::RewardTransform::kExp},
      {"softplus", objective::RewardTransform::kSoftplus}};
  for (const auto& [name, transform] : transforms) {
    const auto options =
        From({"objective.kind=mnm", std::string("objective.reward_transform=") + name,
              "objective.reward_scale=0.5", "objective.ratio_warmup_updates=20"});
    ASSERT_TRUE(options.ok()) << options.status();
    const objective::JointRewardOptions& reward = options->trainer.joint->reward;
    EXPECT_EQ(reward.transform, transform);
    EXPECT_EQ(reward.reward_scale, 0.5);
    EXPECT_EQ(reward.warmup_updates, 20);
    EXPECT_FALSE(reward.shift_from_data);
    EXPECT_TRUE(objective::JointReward::Create(reward).ok());
  }
}

TEST(PolicyTrainerOptions, RefusesAPoolBeyondMemory) {
  const auto options =
      From({"imagination.rollouts_per_refit=1000000", "imagination.horizon_end=1000"});
  EXPECT_TRUE(absl::IsInvalidArgument(options.status()));
  EXPECT_NE(options.status().message().find("1000000 x 1000 x 1"), std::string::npos)
      << options.status();
}

}  // namespace
}  // namespace tandem::policy_trainer
