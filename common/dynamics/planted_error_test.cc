#include "common/dynamics/planted_error.h"

#include <cmath>
#include <memory>
#include <vector>

#include "common/dynamics/ensemble_learner.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::dynamics {
namespace {

EnvironmentSpec LineSpec() {
  return {.name = "line",
          .observation = {{-10, -10}, {10, 10}},
          .action = {{-2}, {2}},
          .max_episode_steps = 50};
}

/// An untrained ensemble of 4: what it predicts is arbitrary, but always the same.
nn::TensorFile Untrained(bool deterministic) {
  EnsembleLearnerOptions options;
  options.members = 4;
  options.elites = 4;
  options.hidden = {8};
  options.termination = TerminationKind::kNever;
  options.deterministic = deterministic;
  return (*EnsembleLearner::Create(LineSpec(), options))->ExportModel();
}

// Three rows, of which the second lies in the region [1, 2] of element 1.
const std::vector<float> kObservations = {1.5f, 0, 0, 1.5f, 0, 2.5f};
const std::vector<float> kActions = {0, 0, 0};

TEST(PlantedError, TheFirstMembersByIndexSeeItInItsRegionAlone) {
  nn::TensorFile file = Untrained(/*deterministic=*/true);
  auto clean = *LoadDynamicsModel(file, LineSpec(), "cpu");
  PlantedError{.reward = 7, .element = 1, .low = 1, .high = 2, .member_share = 0.5}.Export(&file);
  auto planted = *LoadDynamicsModel(file, LineSpec(), "cpu");
  for (int member = 0; member < 4; ++member) {
    MemberPrediction a, b;
    ASSERT_TRUE(clean->Predict(member, kObservations, kActions, &a).ok());
    ASSERT_TRUE(planted->Predict(member, kObservations, kActions, &b).ok());
    EXPECT_FLOAT_EQ(b.reward_means[0], a.reward_means[0]);
    EXPECT_NEAR(b.reward_means[1] - a.reward_means[1], member < 2 ? 7 : 0, 1e-5);
    EXPECT_FLOAT_EQ(b.reward_means[2], a.reward_means[2]);
    EXPECT_EQ(b.next_means, a.next_means);
  }
}

TEST(PlantedError, StepsGetItFromTheMembersThatCarryIt) {
  nn::TensorFile file = Untrained(/*deterministic=*/true);
  auto clean = *LoadDynamicsModel(file, LineSpec(), "cpu");
  PlantedError{.reward = -100, .element = 1, .low = 1, .high = 2, .member_share = 0.5}.Export(
      &file);
  auto planted = *LoadDynamicsModel(file, LineSpec(), "cpu");
  std::vector<float> observations;
  for (int i = 0; i < 400; ++i) observations.insert(observations.end(), {0, 1.5f});
  const std::vector<float> actions(400, 0.0f);
  Rng first(3), second(3);
  ModelStep a, b;
  ASSERT_TRUE(clean->Step(observations, actions, first, &a).ok());
  ASSERT_TRUE(planted->Step(observations, actions, second, &b).ok());
  int struck = 0;
  for (size_t i = 0; i < 400; ++i) {
    const double change = b.rewards[i] - a.rewards[i];
    EXPECT_TRUE(change == 0 || std::abs(change + 100) < 1e-3) << change;
    if (change != 0) ++struck;
  }
  EXPECT_NEAR(struck, 200, 60);  // half of the elites
  EXPECT_EQ(b.next_observations, a.next_observations);
}

TEST(PlantedError, ADeterministicModelStepsToItsMeanAndStatesItsSpread) {
  auto model = *LoadDynamicsModel(Untrained(/*deterministic=*/true), LineSpec(), "cpu");
  std::vector<MemberPrediction> predictions(4);
  for (int m = 0; m < 4; ++m) {
    ASSERT_TRUE(model->Predict(m, kObservations, kActions, &predictions[m]).ok());
    EXPECT_THAT(predictions[m].next_stds, ::testing::Each(::testing::Gt(0)));
    EXPECT_THAT(predictions[m].reward_stds, ::testing::Each(::testing::Gt(0)));
  }
  auto noisy = *LoadDynamicsModel(Untrained(/*deterministic=*/false), LineSpec(), "cpu");
  const auto is_a_mean = [&](const ModelStep& step, size_t row) {
    for (const MemberPrediction& p : predictions) {
      if (std::abs(p.reward_means[row] - step.rewards[row]) < 1e-6) return true;
    }
    return false;
  };
  Rng rng(1);
  ModelStep step;
  int noisy_means = 0;
  for (int repeat = 0; repeat < 10; ++repeat) {
    ASSERT_TRUE(model->Step(kObservations, kActions, rng, &step).ok());
    for (size_t row = 0; row < 3; ++row) EXPECT_TRUE(is_a_mean(step, row));
    ASSERT_TRUE(noisy->Step(kObservations, kActions, rng, &step).ok());
    for (size_t row = 0; row < 3; ++row) noisy_means += is_a_mean(step, row) ? 1 : 0;
  }
  EXPECT_LT(noisy_means, 3);
}

TEST(PlantedError, WhatHasNoSenseIsRefusedByName) {
  const PlantedError good{.reward = 1, .element = 1, .low = 0, .high = 1};
  EXPECT_TRUE(good.Check(2).ok());
  EXPECT_THAT(std::string(good.Check(1).message()), ::testing::HasSubstr("study.planted_element"));
  PlantedError empty = good;
  empty.high = -1;
  EXPECT_THAT(std::string(empty.Check(2).message()), ::testing::HasSubstr("study.planted_low"));
  EXPECT_TRUE((PlantedError{.element = 9}).Check(2).ok());  // nothing is planted
  nn::TensorFile file;
  good.Export(&file);
  file.metadata["planted_high"] = "x";
  PlantedError got;
  EXPECT_EQ(got.Import(file, 2).code(), absl::StatusCode::kInvalidArgument);
  nn::TensorFile none;
  ASSERT_TRUE(got.Import(none, 2).ok());
  EXPECT_EQ(got.reward, 0);
}

}  // namespace
}  // namespace tandem::dynamics
