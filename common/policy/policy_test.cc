#include "common/policy/policy.h"

#include <cmath>

#include "common/base/rng.h"
#include "common/nn/device.h"
#include "common/policy/action_scale.h"
#include "common/policy/sac_learner.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::policy {
namespace {

using ::testing::HasSubstr;

/// Small products on several threads cost more than they save.
const bool kOneThread = nn::ConfigureThreads(1).ok();

EnvironmentSpec BoxSpec() {
  return {.name = "box",
          .observation = {{-10, -10}, {10, 10}},
          .action = {{-3, 0}, {3, 10}},
          .max_episode_steps = 50};
}

SacLearnerOptions SmallOptions(uint64_t seed) {
  SacLearnerOptions options;
  options.hidden = {32, 32};
  options.seed = seed;
  return options;
}

TransitionBatch RandomBatch(int64_t rows, uint64_t seed) {
  Rng rng(seed);
  TransitionBatch batch;
  batch.obs_dim = 2;
  batch.action_dim = 2;
  batch.observations.resize(rows * 2);
  batch.next_observations.resize(rows * 2);
  batch.rewards.resize(rows);
  batch.terminated.assign(rows, 0);
  rng.FillNormal(batch.observations);
  rng.FillNormal(batch.next_observations);
  rng.FillNormal(batch.rewards);
  for (int64_t i = 0; i < rows; ++i) {
    batch.actions.push_back(static_cast<float>(rng.Uniform(-3, 3)));
    batch.actions.push_back(static_cast<float>(rng.Uniform(0, 10)));
  }
  return batch;
}

TEST(ActionScale, MapsTheBoxToMinusOneToOneAndBack) {
  const ActionScale scale(BoxSpec().action);
  const std::vector<float> actions = {-3, 10, 0, 5, 4, -1};
  std::vector<float> unit(6);
  scale.ToUnit(actions, unit);
  EXPECT_THAT(unit, ::testing::ElementsAre(-1, 1, 0, 0, 1, -1));
  scale.ToEnvironment(unit);
  EXPECT_THAT(unit, ::testing::ElementsAre(-3, 10, 0, 5, 3, 0));
  std::vector<float> log_probs = {0};
  scale.DensityToEnvironment(log_probs);
  EXPECT_NEAR(log_probs[0], -std::log(15), 1e-6);
}

TEST(SacPolicy, ActsInTheBoxWithTheDensityOfItsUnits) {
  auto learner = *SacLearner::Create(BoxSpec(), SmallOptions(1));
  const auto loaded = LoadPolicy(learner->ExportPolicy(), BoxSpec(), "cpu");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const int64_t rows = 20000;
  std::vector<float> observations, actions(rows * 2), log_probs(rows);
  for (int64_t i = 0; i < rows; ++i) observations.insert(observations.end(), {0.3f, -0.7f});
  Rng rng(1);
  ASSERT_TRUE(loaded->policy->Act(observations, &rng, actions, log_probs).ok());
  double mass = 0;
  int64_t cell = 0;
  double density = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const float a = actions[2 * i], b = actions[2 * i + 1];
    ASSERT_TRUE(a >= -3 && a <= 3 && b >= 0 && b <= 10);
    mass += std::exp(-static_cast<double>(log_probs[i])) / rows;  // E[1 / density] = volume
    if (std::abs(a) < 0.5 && std::abs(b - 5) < 1) {
      ++cell;
      density += std::exp(static_cast<double>(log_probs[i]));
    }
  }
  EXPECT_NEAR(mass, 60, 12);
  // Share of samples in a cell = its mean density times its area.
  EXPECT_NEAR(static_cast<double>(cell) / rows, density / static_cast<double>(cell) * 2, 0.01);
}

TEST(SacPolicy, DeterministicActionsAndValuesAreTheLearners) {
  auto learner = *SacLearner::Create(BoxSpec(), SmallOptions(1));
  for (uint64_t step = 0; step < 5; ++step) {
    ASSERT_TRUE(learner->Update(RandomBatch(32, step)).ok());
  }
  const auto loaded = LoadPolicy(learner->ExportPolicy(), BoxSpec(), "cpu");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->policy_updates, 5u);
  EXPECT_EQ(loaded->discount, 0.99);
  const std::vector<float> observation = {1, 2};
  std::vector<float> one(2), other(2), value(1);
  ASSERT_TRUE(learner->Act(observation, nullptr, one).ok());
  ASSERT_TRUE(loaded->policy->Act(observation, nullptr, other, {}).ok());
  EXPECT_EQ(one, other);
  ASSERT_TRUE(loaded->critic->Value(observation, one, value).ok());
  EXPECT_TRUE(std::isfinite(value[0]));
  Rng a(7), b(7);
  ASSERT_TRUE(learner->Act(observation, &a, one).ok());
  ASSERT_TRUE(loaded->policy->Act(observation, &b, other, {}).ok());
  EXPECT_EQ(one, other);
}

TEST(SacPolicy, TheDistributionIsTheOneItActsBy) {
  const auto learner = SacLearner::Create(BoxSpec(), SmallOptions(5));
  ASSERT_TRUE(learner.ok()) << learner.status();
  const auto loaded = LoadPolicy((*learner)->ExportPolicy(), BoxSpec(), "cpu");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const std::vector<float> observations = RandomBatch(300, 1).observations;
  std::vector<float> actions(600), means(600), log_stds(600), log_probs(300);
  ASSERT_TRUE(loaded->policy->Distribution(observations, means, log_stds).ok());
  ASSERT_TRUE(loaded->policy->Act(observations, nullptr, actions, log_probs).ok());
  std::vector<float> expected(means);
  for (float& x : expected) x = std::tanh(x);
  ActionScale(BoxSpec().action).ToEnvironment(expected);
  for (int i = 0; i < 600; ++i) EXPECT_NEAR(actions[i], expected[i], 1e-4);
  for (int i = 0; i < 300; ++i) {  // the density of the mean, from mean and deviation alone
    double density = -std::log(3) - std::log(5);
    for (int j = 2 * i; j < 2 * i + 2; ++j) {
      density -=
          log_stds[j] + 0.5 * std::log(2 * M_PI) + std::log(1 - std::pow(std::tanh(means[j]), 2));
    }
    EXPECT_NEAR(log_probs[i], density, 1e-3);
  }
  EXPECT_FALSE(loaded->policy->Distribution(observations, means, {}).ok());
}

TEST(LoadPolicy, WithoutItsCriticItActsTheSame) {
  auto learner = *SacLearner::Create(BoxSpec(), SmallOptions(1));
  const nn::TensorFile snapshot = learner->ExportPolicy();
  const auto whole = LoadPolicy(snapshot, BoxSpec(), "cpu");
  const auto actor = LoadPolicy(snapshot, BoxSpec(), "cpu", /*with_critic=*/false);
  ASSERT_TRUE(whole.ok() && actor.ok());
  EXPECT_NE(whole->critic, nullptr);
  EXPECT_EQ(actor->critic, nullptr);
  const std::vector<float> observations = {0.3f, -0.7f, 1, 2};
  std::vector<float> expected(4), got(4);
  ASSERT_TRUE(whole->policy->Act(observations, nullptr, expected, {}).ok());
  ASSERT_TRUE(actor->policy->Act(observations, nullptr, got, {}).ok());
  EXPECT_EQ(got, expected);
}

TEST(LoadPolicy, SnapshotsOfAnotherSpecOrKindAreRefused) {
  auto learner = *SacLearner::Create(BoxSpec(), SmallOptions(1));
  const nn::TensorFile good = learner->ExportPolicy();
  const auto why = [](const nn::TensorFile& file, const EnvironmentSpec& spec) {
    const auto loaded = LoadPolicy(file, spec, "cpu");
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(loaded.status().message());
  };
  EnvironmentSpec spec = BoxSpec();
  spec.name = "ball";
  EXPECT_THAT(why(good, spec), HasSubstr("expected ball, got box"));
  spec = BoxSpec();
  spec.action.high = {3, 9};
  EXPECT_THAT(why(good, spec), HasSubstr("action_high"));
  spec = BoxSpec();
  spec.observation = {{0}, {1}};
  EXPECT_THAT(why(good, spec), HasSubstr("obs_dim: expected 1, got 2"));
  nn::TensorFile file = good;
  file.metadata["kind"] = "dreamer";
  EXPECT_THAT(why(file, BoxSpec()), HasSubstr("sac"));
  file = good;
  file.tensors.at("actor.w1").shape = {32, 31};
  EXPECT_THAT(why(file, BoxSpec()), HasSubstr("actor.w1"));
}

TEST(SacLearner, SavedAndLoadedItGoesOnBitForBit) {
  auto one = *SacLearner::Create(BoxSpec(), SmallOptions(1));
  auto other = *SacLearner::Create(BoxSpec(), SmallOptions(2));
  for (uint64_t step = 0; step < 3; ++step) {
    ASSERT_TRUE(one->Update(RandomBatch(32, step)).ok());
  }
  const std::string bytes = *nn::WriteSafetensors(one->SaveState());
  ASSERT_TRUE(other->LoadState(*nn::ReadSafetensors(bytes)).ok());
  EXPECT_EQ(other->updates(), 3u);
  for (uint64_t step = 3; step < 6; ++step) {
    ASSERT_TRUE(one->Update(RandomBatch(32, step)).ok());
    ASSERT_TRUE(other->Update(RandomBatch(32, step)).ok());
  }
  EXPECT_EQ(*nn::WriteSafetensors(one->SaveState()), *nn::WriteSafetensors(other->SaveState()));
  SacLearnerOptions wide = SmallOptions(1);
  wide.hidden = {64};
  EXPECT_EQ((*SacLearner::Create(BoxSpec(), wide))->LoadState(one->SaveState()).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SacLearner, WrongBatchesAreRefused) {
  auto learner = *SacLearner::Create(BoxSpec(), SmallOptions(1));
  TransitionBatch batch = RandomBatch(8, 1);
  batch.actions.pop_back();
  EXPECT_EQ(learner->Update(batch).status().code(), absl::StatusCode::kInvalidArgument);
  batch = RandomBatch(8, 1);
  batch.terminated.pop_back();
  EXPECT_EQ(learner->Update(batch).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(learner->updates(), 0u);
}

}  // namespace
}  // namespace tandem::policy
