#include "services/policy_trainer/core/joint_payment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/objective/joint_terms.h"
#include "services/policy_trainer/core/testing/world.h"

namespace tandem::policy_trainer {
namespace {

using testing::HasSubstr;

constexpr float kImagined = 7;  // reward in the model; real ones are kRealReward = -1

/// A run on the joint objective, whose classifier gives each imagined step -2 nats.
struct JointWorld : World {
  JointWorld() {
    options.joint.emplace();
    options.joint->reward.discount = 0.9;
    options.joint->reward.reward_shift = 2;
    options.joint->reward.weight = 0.5;
    options.joint->ratio.samples = 2;
  }
  void JointModel(int64_t through_index, float logit = -2) {
    ASSERT_TRUE(models.Publish(JointModelFile(kImagined, through_index, logit)).ok());
  }
  void RunOneGrant(int64_t updates) {
    AddGrant(updates, 260, 250);
    const absl::Status status =
        Live([&] { WaitFor([&] { return log.count() >= static_cast<size_t>(updates); }); });
    EXPECT_TRUE(status.ok()) << status;
  }
  objective::JointTerms Terms() {
    const auto terms = objective::JointTerms::Import(*policies.Latest()->Parse());
    EXPECT_TRUE(terms.ok()) << terms.status();
    return terms.value_or(objective::JointTerms{});
  }
};

TEST(JointPayment, ImaginedRowsPayTheirRatioAndRealOnesNone) {
  JointWorld world;
  world.JointModel(250);
  world.RunOneGrant(3);
  // Equation (1) without its constant: (1 - g) log(r + shift) + w * ratio.
  const double imagined = 0.1 * std::log(kImagined + 2) + 0.5 * -2;
  for (const TransitionBatch& batch : world.log.batches()) {
    for (int i = 0; i < 5; ++i) EXPECT_NEAR(batch.rewards[i], 0.1 * std::log(-1 + 2), 1e-6);
    for (int i = 5; i < 20; ++i) EXPECT_NEAR(batch.rewards[i], imagined, 1e-6);
  }
  const objective::JointTerms terms = world.Terms();
  EXPECT_EQ(terms.weight, 0.5);
  EXPECT_EQ(terms.reward.shift, 2);
  EXPECT_EQ(terms.discount, 0.9);
  EXPECT_EQ(terms.ratio.samples, 2);
  const std::string page = world.metrics.Page();
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_ratio_weight 0.5"));
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_reward_shift 2"));
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_divergence_nats 2"));
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_logit_clipped_ratio{bound=\"lower\"} 0"));
}

TEST(JointPayment, ASaturatedClassifierCostsNoMoreThanTheBoundAndIsSeen) {
  JointWorld world;
  world.JointModel(250, -1e6f);
  world.RunOneGrant(1);
  EXPECT_NEAR(world.log.batches()[0].rewards[19], 0.1 * std::log(kImagined + 2) + 0.5 * -5, 1e-6);
  EXPECT_THAT(world.metrics.Page(),
              HasSubstr("tandem_policy_trainer_logit_clipped_ratio{bound=\"lower\"} 1"));
}

/// Steps with an action above 0 end far from all that is real.
class TornModel : public FakeModel {
 public:
  TornModel() : FakeModel(kImagined) {}
  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng& rng,
                    dynamics::ModelStep* step) override {
    const absl::Status status = FakeModel::Step(observations, actions, rng, step);
    for (size_t i = 0; i < actions.size(); ++i) {
      if (actions[i] > 0) step->next_observations[i] += kFar;
    }
    return status;
  }
  static constexpr float kFar = 1000;
};

TEST(JointPayment, StatesThatTheWorldDoesNotReachHaveAPriceOfTheirOwn) {
  for (const bool judged : {true, false}) {
    JointWorld world;
    if (judged) world.options.joint->states = {.first_steps = 1500, .mixture = 0.5};
    world.JointModel(250);
    world.AddGrant(3, 260, 250);
    PolicyTrainer::Deps deps = world.Deps();
    deps.load_model = [](const nn::TensorFile&, const EnvironmentSpec&) {
      return std::make_unique<TornModel>();
    };
    ASSERT_TRUE(
        world.Live(deps, [&] { world.WaitFor([&] { return world.log.count() >= 3; }); }).ok());
    const double reward = 0.1 * std::log(kImagined + 2);
    int far = 0;
    for (const TransitionBatch& batch : world.log.batches()) {
      for (int i = 5; i < 20; ++i) {
        const bool left = batch.next_observations[i] > TornModel::kFar - 100;
        far += left ? 1 : 0;
        // The transition alone costs 2 nats; both together at most 5.
        EXPECT_NEAR(batch.rewards[i], reward - 0.5 * (left && judged ? 5 : 2), 0.1);
      }
    }
    EXPECT_GT(far, 10);
    EXPECT_LT(far, 35);
    EXPECT_EQ(world.metrics.Page().find("tandem_policy_trainer_state_price_nats 0\n") ==
                  std::string::npos,
              judged);
  }
}

/// No step of it is finite, so that none is kept.
class BrokenModel : public FakeModel {
 public:
  BrokenModel() : FakeModel(kImagined) {}
  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng& rng,
                    dynamics::ModelStep* step) override {
    const absl::Status status = FakeModel::Step(observations, actions, rng, step);
    std::fill(step->next_observations.begin(), step->next_observations.end(), NAN);
    return status;
  }
};

TEST(JointPayment, WithoutAnImaginedStateItGoesOnWithRealRows) {
  JointWorld world;
  world.options.joint->states = {.first_steps = 10};
  world.JointModel(250);
  world.AddGrant(3, 260, 250);
  PolicyTrainer::Deps deps = world.Deps();
  deps.load_model = [](const nn::TensorFile&, const EnvironmentSpec&) {
    return std::make_unique<BrokenModel>();
  };
  const auto wait = [&] { world.WaitFor([&] { return world.log.count() >= 3; }); };
  ASSERT_TRUE(world.Live(deps, wait).ok());
  EXPECT_NEAR(world.log.batches()[0].rewards[19], 0.1 * std::log(-1 + 2), 1e-6);
}

TEST(JointPayment, WhatIsNotANumberCostsTheBoundAndStallsNothing) {
  JointWorld world;
  world.JointModel(250, NAN);
  world.RunOneGrant(1);
  EXPECT_NEAR(world.log.batches()[0].rewards[19], 0.1 * std::log(kImagined + 2) + 0.5 * -5, 1e-6);
  EXPECT_THAT(world.metrics.Page(),
              HasSubstr("tandem_policy_trainer_logit_clipped_ratio{bound=\"lower\"} 1"));
}

TEST(JointPayment, WithoutItNothingIsPaidMadeOrTold) {
  World world;
  world.Model(kImagined, 250);
  world.AddGrant(2, 260, 250);
  ASSERT_TRUE(world.Live([&] { world.WaitFor([&] { return world.log.count() >= 2; }); }).ok());
  EXPECT_EQ(world.log.batches()[0].rewards[19], kImagined);
  EXPECT_TRUE(
      absl::IsNotFound(objective::JointTerms::Import(*world.policies.Latest()->Parse()).status()));
  EXPECT_EQ(world.metrics.Page().find("ratio_weight"), std::string::npos);
}

TEST(JointPayment, ARewardThatIsNotPositiveEndsTheRunInClearWords) {
  JointWorld world;
  world.options.joint->reward.reward_shift = 0;
  world.JointModel(250);
  world.AddGrant(2, 260, 250);
  PolicyTrainer trainer(world.options, world.Deps());
  const absl::Status status = trainer.Run();  // ends by itself
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("expected reward_shift >= 1.001"));
  EXPECT_EQ(world.log.count(), 0u);
}

TEST(JointPayment, TheShiftComesFromTheSmallestRewardThatTheModelSaw) {
  JointWorld world;
  world.options.joint->reward.reward_shift = 0;
  world.options.joint->reward.shift_from_data = true;
  nn::TensorFile file = JointModelFile(kImagined, 250, -2);
  file.metadata[snapshot::kSmallestRewardKey] = "-3";
  ASSERT_TRUE(world.models.Publish(file).ok());
  testing::internal::CaptureStderr();
  world.RunOneGrant(1);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("rewards are shifted by 3.001: the smallest real one is -3"));
  EXPECT_NEAR(world.log.batches()[0].rewards[0], 0.1 * std::log(-1 + 3.001), 1e-6);
  EXPECT_NEAR(world.Terms().reward.shift, 3.001, 1e-9);
}

TEST(JointPayment, ExponentialRewardsArePaidAsTheyAreTimesOneMinusTheDiscount) {
  JointWorld world;
  objective::JointRewardOptions& reward = world.options.joint->reward;
  reward.reward_shift = 0;
  reward.transform = objective::RewardTransform::kExp;
  reward.reward_scale = 2;
  reward.warmup_updates = 2;
  world.JointModel(250);
  world.RunOneGrant(4);
  for (int update = 0; update < 4; ++update) {
    const TransitionBatch batch = world.log.batches()[update];
    EXPECT_NEAR(batch.rewards[0], 0.1 * -1 / 2, 1e-6);
    EXPECT_NEAR(batch.rewards[19], 0.1 * kImagined / 2 + (update < 2 ? 0 : 0.5 * -2), 1e-6);
  }
  const objective::JointTerms terms = world.Terms();
  EXPECT_EQ(terms.reward.transform, objective::RewardTransform::kExp);
  EXPECT_EQ(terms.reward.scale, 2);
  EXPECT_EQ(terms.weight, 0.5);
}

TEST(JointPayment, TheDualWeightRisesToItsBoundAndOutlivesARestart) {
  std::string pattern = std::filesystem::temp_directory_path() / "tandem_joint_XXXXXX";
  const std::string folder = mkdtemp(pattern.data());
  const auto prepare = [&](JointWorld& world) {
    world.options.state_dir = folder;
    world.options.joint->reward.kind = objective::RatioWeight::kDual;
    world.options.joint->reward.weight = 0.2;
    world.options.joint->reward.weight_lr = 0.5;
    world.options.joint->reward.max_weight = 0.7;  // the divergence of 2 is out of its reach
    world.JointModel(250);
  };
  JointWorld first;
  prepare(first);
  first.RunOneGrant(10);
  EXPECT_NEAR(first.Terms().weight, 0.7, 1e-12);
  JointWorld second;
  prepare(second);
  ASSERT_TRUE(
      second.Live([&] { second.WaitFor([&] { return second.policies.Latest() != nullptr; }); })
          .ok());
  EXPECT_NEAR(second.Terms().weight, 0.7, 1e-12);
  std::filesystem::remove_all(folder);
}

TEST(JointPayment, ANewClassifierPricesEveryGenerationOfThePool) {
  JointWorld world;
  world.options.imagination.retain_refits = 3;
  world.options.imagination.horizon_start = world.options.imagination.horizon_end = 1;
  world.JointModel(250, -2);
  EXPECT_TRUE(world
                  .Live([&] {
                    const auto grant = [&](int64_t granted, int64_t through, size_t updates) {
                      world.AddGrant(granted, through + 10, through);
                      world.WaitFor([&] { return world.log.count() >= updates; });
                    };
                    grant(4, 250, 4);
                    // A model of another reward, so that each generation is told by its own.
                    ASSERT_TRUE(world.models.Publish(JointModelFile(3, 260, -1)).ok());
                    grant(44, 260, 44);
                  })
                  .ok());
  const std::vector<TransitionBatch> batches = world.log.batches();
  ASSERT_GE(batches.size(), 44u);
  int old_rows = 0, new_rows = 0;
  for (size_t update = 4; update < batches.size(); ++update) {
    for (int i = 5; i < 20; ++i) {
      const double paid = batches[update].rewards[i];
      const bool is_old = std::abs(paid - (0.1 * std::log(kImagined + 2) - 0.5)) < 1e-6;
      const bool is_new = std::abs(paid - (0.1 * std::log(3 + 2) - 0.5)) < 1e-6;
      EXPECT_TRUE(is_old || is_new) << paid;
      old_rows += is_old ? 1 : 0;
      new_rows += is_new ? 1 : 0;
    }
  }
  EXPECT_GT(old_rows, 100);
  EXPECT_GT(new_rows, 100);
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_policy_trainer_divergence_nats 1\n"));
}

TEST(JointPayment, RealRowsDoNotDiluteTheDivergenceThatTheWeightHolds) {
  for (const double target : {1.8, 2.2}) {  // of 2 nats; with the quarter of real rows it were 1.5
    JointWorld world;
    world.options.joint->reward.kind = objective::RatioWeight::kDual;
    world.options.joint->reward.weight = 0.3;
    world.options.joint->reward.weight_lr = 0.01;
    world.options.joint->reward.target_divergence = target;
    world.JointModel(250, -2);
    world.RunOneGrant(10);
    if (target < 2) {
      EXPECT_GT(world.Terms().weight, 0.31);
    } else {
      EXPECT_LT(world.Terms().weight, 0.29);
    }
  }
}

TEST(JointPayment, ASaturatedClassifierAboveTheBoundIsSeenToo) {
  for (const double tolerance : {0.0, 0.3}) {
    for (const auto& [best_logit, share] : {std::pair{2.1, "1"}, {2.2, "0"}}) {
      JointWorld world;
      world.options.joint->ratio.tolerance = tolerance;
      world.options.joint->ratio.best_logit = best_logit;
      world.JointModel(250, -2);
      world.RunOneGrant(1);
      EXPECT_THAT(world.metrics.Page(),
                  HasSubstr(std::string("clipped_ratio{bound=\"lower\"} ") + share));
      EXPECT_EQ(world.Terms().ratio.best_logit, best_logit);
    }
  }
}

TEST(JointPayment, AModelWithoutAClassifierIsWaitedPast) {
  JointWorld world;
  world.Model(kImagined, 250);
  world.AddGrant(2, 260, 250);
  ASSERT_TRUE(world
                  .Live([&] {
                    world.WaitFor([&] {
                      return world.metrics.Page().find(
                                 "tandem_policy_trainer_models_rejected_total 1") !=
                             std::string::npos;
                    });
                    world.JointModel(250);
                    world.WaitFor([&] { return world.log.count() >= 2; });
                  })
                  .ok());
}

}  // namespace
}  // namespace tandem::policy_trainer
