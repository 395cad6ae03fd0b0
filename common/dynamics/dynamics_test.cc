#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "common/base/rng.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/dynamics/gaussian_ensemble_model.h"
#include "common/env/environment.h"
#include "common/env/known_reward.h"
#include "common/nn/device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::dynamics {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

/// Small products on several threads cost more than they save.
const bool kOneThread = nn::ConfigureThreads(1).ok();

EnvironmentSpec LineSpec() {
  return {.name = "line",
          .observation = {{-10, -10}, {10, 10}},
          .action = {{-2}, {2}},
          .max_episode_steps = 50};
}

/// x' = x + 0.1 v + noise, v' = v + 0.2 a; reward = noise alone; ends where x > 0.8.
TransitionBatch Line(int64_t rows, uint64_t seed) {
  Rng rng(seed);
  TransitionBatch batch;
  batch.obs_dim = 2;
  batch.action_dim = 1;
  for (int64_t i = 0; i < rows; ++i) {
    const double x = rng.Uniform(-1, 1), v = rng.Uniform(-1, 1), a = rng.Uniform(-2, 2);
    const double next = x + 0.1 * v + 0.02 * rng.Normal();
    for (const double o : {x, v}) batch.observations.push_back(static_cast<float>(o));
    batch.actions.push_back(static_cast<float>(a));
    batch.next_observations.push_back(static_cast<float>(next));
    batch.next_observations.push_back(static_cast<float>(v + 0.2 * a));
    batch.rewards.push_back(static_cast<float>(3 + rng.Normal()));
    batch.terminated.push_back(x > 0.8 ? 1 : 0);
  }
  return batch;
}

EnsembleLearnerOptions SmallOptions() {
  EnsembleLearnerOptions options;
  options.members = 3;
  options.elites = 2;
  options.hidden = {32, 32};
  options.adam.lr = 3e-3;
  options.max_gradient_steps = 300;
  options.termination = TerminationKind::kLearned;
  options.seed = 4;
  return options;
}

TEST(EnsembleLearner, LearnsDynamicsNoiseAndTermination) {
  auto learner = *EnsembleLearner::Create(LineSpec(), SmallOptions());
  FitReport report;
  for (int fit = 0; fit < 3; ++fit) report = *learner->Fit(Line(2000, 1), Line(400, 2), {});
  EXPECT_EQ(report.train_rows, 2000);
  EXPECT_EQ(report.holdout_rows, 400);
  EXPECT_LE(report.gradient_steps, 300);
  ASSERT_EQ(report.elites.size(), 2u);
  EXPECT_LE(report.member_holdout_losses[report.elites[0]],
            report.member_holdout_losses[report.elites[1]]);
  EXPECT_NEAR(report.holdout_reward_error, 1, 0.15);  // noise: all of its deviation remains
  EXPECT_LT(report.holdout_termination_loss, 0.15);

  auto model = *LoadDynamicsModel(learner->ExportModel(), LineSpec(), "cpu");
  EXPECT_EQ(model->elites(), report.elites);
  const std::vector<float> observations = {0.2f, 0.5f, 0.95f, -0.5f}, actions = {1, -1};
  MemberPrediction prediction;
  ASSERT_TRUE(model->Predict(model->elites()[0], observations, actions, &prediction).ok());
  EXPECT_NEAR(prediction.next_means[0], 0.25, 0.02);
  EXPECT_NEAR(prediction.next_means[1], 0.7, 0.03);
  EXPECT_NEAR(prediction.next_means[3], -0.7, 0.03);
  EXPECT_NEAR(prediction.next_stds[0], 0.02, 0.01);
  EXPECT_NEAR(prediction.reward_means[0], 3, 0.3);
  EXPECT_NEAR(prediction.reward_stds[0], 1, 0.25);
  EXPECT_LT(prediction.termination_probs[0], 0.05);
  EXPECT_GT(prediction.termination_probs[1], 0.9);
}

TEST(EnsembleLearner, StepSamplesFromElitesAlone) {
  auto learner = *EnsembleLearner::Create(LineSpec(), SmallOptions());
  ASSERT_TRUE(learner->Fit(Line(1000, 1), Line(200, 2), {}).ok());
  auto model = *LoadDynamicsModel(learner->ExportModel(), LineSpec(), "cpu");
  const int64_t rows = 4000;
  std::vector<float> observations, actions(rows, 1.0f);
  for (int64_t i = 0; i < rows; ++i) observations.insert(observations.end(), {0.9f, 0.0f});
  Rng rng(3), again(3);
  ModelStep step, same;
  ASSERT_TRUE(model->Step(observations, actions, rng, &step).ok());
  ASSERT_TRUE(model->Step(observations, actions, again, &same).ok());
  EXPECT_EQ(step.next_observations, same.next_observations);
  EXPECT_EQ(step.terminated, same.terminated);
  // Mean and variance of the samples are those of the mixture of the elites.
  double mean = 0, square = 0, expected_mean = 0, expected_square = 0, ends = 0, probability = 0;
  for (const float r : step.rewards) mean += r / rows, square += r * r / rows;
  for (const uint8_t t : step.terminated) ends += static_cast<double>(t) / rows;
  MemberPrediction prediction;
  for (const int member : model->elites()) {
    ASSERT_TRUE(model
                    ->Predict(member, std::span(observations).first(2), std::span(actions).first(1),
                              &prediction)
                    .ok());
    const double m = prediction.reward_means[0], s = prediction.reward_stds[0];
    expected_mean += m / 2;
    expected_square += (m * m + s * s) / 2;
    probability += prediction.termination_probs[0] / 2;
  }
  EXPECT_NEAR(mean, expected_mean, 0.06);
  EXPECT_NEAR(square - mean * mean, expected_square - expected_mean * expected_mean, 0.1);
  EXPECT_NEAR(ends, probability, 0.03);
}

TEST(EnsembleLearner, PredictionsAreClippedToTheRangeOfTheData) {
  EnsembleLearnerOptions options = SmallOptions();
  options.observation_margin = 0.5;
  options.max_gradient_steps = 5;
  auto learner = *EnsembleLearner::Create(LineSpec(), options);
  ASSERT_TRUE(learner->Fit(Line(200, 1), {}, {}).ok());
  auto model = *LoadDynamicsModel(learner->ExportModel(), LineSpec(), "cpu");
  Rng rng(1);
  ModelStep step;
  ASSERT_TRUE(model->Step(std::vector<float>{50, -50}, std::vector<float>{0}, rng, &step).ok());
  EXPECT_NEAR(step.next_observations[0], 2.15, 0.2);  // 1.1 + 0.5 * 2.1
  EXPECT_LT(step.next_observations[1], -2);
  EXPECT_GT(step.next_observations[1], -3);
}

TEST(EnsembleLearner, AKnownRewardIsPaidForThePrediction) {
  const EnvironmentSpec spec = (*MakeEnvironment("maze"))->spec();
  EnsembleLearnerOptions options = SmallOptions();
  options.observation_margin = 0;
  options.known_reward = true;
  auto learner = *EnsembleLearner::Create(spec, options);
  auto model = *LoadDynamicsModel(learner->ExportModel(), spec, "cpu");
  std::vector<float> observations, paid(400);
  Rng rng(1);
  for (int i = 0; i < 800; ++i) observations.push_back(static_cast<float>(rng.Uniform(-1, 1)));
  const std::vector<float> actions(800, 0);
  ModelStep step;
  ASSERT_TRUE(model->Step(observations, actions, rng, &step).ok());
  const RewardFunction reward = *KnownReward("maze");
  reward(step.next_observations, 2, paid);
  EXPECT_EQ(step.rewards, paid);
  MemberPrediction predicted;
  ASSERT_TRUE(model->Predict(0, observations, actions, &predicted).ok());
  reward(predicted.next_means, 2, paid);
  EXPECT_EQ(predicted.reward_means, paid);
  EXPECT_THAT(predicted.reward_stds, Each(0));
  EXPECT_THAT(EnsembleLearner::Create(LineSpec(), options).status().message(),
              HasSubstr("unknown environment"));
}

TEST(EnsembleLearner, ARareRewardThatIsKnownTakesNothingFromTheDynamics) {
  const EnvironmentSpec spec = (*MakeEnvironment("maze"))->spec();
  const auto moves = [](int rows, uint64_t seed, bool rare) {  // a step of 0.1 times the action
    TransitionBatch batch{.obs_dim = 2, .action_dim = 2};
    Rng rng(seed);
    for (int i = 0; i < 2 * rows; ++i) {
      batch.observations.push_back(static_cast<float>(rng.Uniform(-0.8, 0.8)));
      batch.actions.push_back(static_cast<float>(rng.Uniform(-1, 1)));
      batch.next_observations.push_back(batch.observations[i] + 0.1f * batch.actions[i]);
    }
    for (int i = 0; i < rows; ++i) batch.rewards.push_back(rare && i % 97 == 0 ? 100.0f : 1.0f);
    batch.terminated.assign(rows, 0);
    return batch;
  };
  EnsembleLearnerOptions options = SmallOptions();
  options.known_reward = true;
  const auto fit = [&](bool rare) {
    auto learner = *EnsembleLearner::Create(spec, options);
    return *learner->Fit(moves(600, 1, rare), moves(200, 2, !rare), {});
  };
  const FitReport report = fit(true), other = fit(false);
  EXPECT_LT(report.holdout_error, 0.1);
  EXPECT_EQ(report.holdout_error, other.holdout_error);  // whatever the rewards are
  EXPECT_TRUE(std::isnan(report.holdout_reward_error));
}

TEST(EnsembleLearner, StopsEarlyOnNoiseAndKeepsTheBestWeights) {
  EnsembleLearnerOptions options = SmallOptions();
  options.max_gradient_steps = 5000;
  options.patience_epochs = 2;
  options.patience_steps = 20;
  options.min_improvement = 0.05;
  auto learner = *EnsembleLearner::Create(LineSpec(), options);
  TransitionBatch train = Line(300, 1), holdout = Line(100, 2);
  for (auto* batch : {&train, &holdout}) {  // nothing to learn
    Rng rng(batch->size());
    rng.FillNormal(batch->next_observations);
    rng.FillNormal(batch->rewards);
  }
  const FitReport report = *learner->Fit(train, holdout, {});
  EXPECT_LT(report.gradient_steps, 1000);
  EXPECT_GE(report.gradient_steps, 20);
  EXPECT_LT(report.holdout_error, 1.6);
}

TEST(EnsembleLearner, WithoutHoldoutTheTrainingRowsStandIn) {
  auto learner = *EnsembleLearner::Create(LineSpec(), SmallOptions());
  const auto report = learner->Fit(Line(300, 1), {}, {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->holdout_rows, 0);
  EXPECT_EQ(report->elites.size(), 2u);
}

TEST(EnsembleLearner, SavedAndLoadedItGoesOnBitForBit) {
  auto one = *EnsembleLearner::Create(LineSpec(), SmallOptions());
  ASSERT_TRUE(one->Fit(Line(300, 1), Line(100, 2), {}).ok());
  EnsembleLearnerOptions options = SmallOptions();
  options.seed = 99;
  auto other = *EnsembleLearner::Create(LineSpec(), options);
  const std::string bytes = *nn::WriteSafetensors(one->SaveState());
  ASSERT_TRUE(other->LoadState(*nn::ReadSafetensors(bytes)).ok());
  ASSERT_TRUE(one->Fit(Line(400, 3), Line(100, 4), {}).ok());
  ASSERT_TRUE(other->Fit(Line(400, 3), Line(100, 4), {}).ok());
  EXPECT_EQ(*nn::WriteSafetensors(one->SaveState()), *nn::WriteSafetensors(other->SaveState()));
  options.hidden = {16};
  auto smaller = *EnsembleLearner::Create(LineSpec(), options);
  EXPECT_EQ(smaller->LoadState(one->SaveState()).code(), absl::StatusCode::kInvalidArgument);
}

TEST(EnsembleLearner, ALongFitTakesTwiceTheStepsOnce) {
  EnsembleLearnerOptions options = SmallOptions();
  options.max_gradient_steps = 40;
  options.patience_epochs = options.patience_steps = 0;  // a usual fit ends after one epoch
  auto learner = *EnsembleLearner::Create(LineSpec(), options);
  learner->MakeNextFitLong();
  EXPECT_EQ(learner->Fit(Line(300, 1), Line(100, 2), {})->gradient_steps, 80);
  EXPECT_LT(learner->Fit(Line(300, 1), Line(100, 2), {})->gradient_steps, 41);
}

TEST(EnsembleLearner, TheFirstFitHasItsOwnLengthAndARestartKnowsThatItIsOver) {
  EnsembleLearnerOptions options = SmallOptions();
  options.max_gradient_steps = 10;
  options.first_gradient_steps = options.patience_steps = 30;
  auto learner = *EnsembleLearner::Create(LineSpec(), options);
  const nn::TensorFile fresh = learner->SaveState();
  EXPECT_EQ(learner->Fit(Line(300, 1), Line(100, 2), {})->gradient_steps, 30);
  EXPECT_EQ(learner->Fit(Line(300, 1), Line(100, 2), {})->gradient_steps, 10);
  auto restarted = *EnsembleLearner::Create(LineSpec(), options);
  ASSERT_TRUE(restarted->LoadState(learner->SaveState()).ok());
  EXPECT_EQ(restarted->Fit(Line(300, 1), Line(100, 2), {})->gradient_steps, 10);
  ASSERT_TRUE(restarted->LoadState(fresh).ok());  // saved before any fit
  EXPECT_EQ(restarted->Fit(Line(300, 1), Line(100, 2), {})->gradient_steps, 30);
}

TEST(EnsembleLearner, AResetChangesOneMemberAndNoOther) {
  auto learner = *EnsembleLearner::Create(LineSpec(), SmallOptions());
  ASSERT_TRUE(learner->Fit(Line(300, 1), Line(100, 2), {}).ok());
  const nn::TensorFile before = learner->SaveState();
  ASSERT_TRUE(learner->ResetMember(1).ok());
  const nn::TensorFile after = learner->SaveState();
  int weights = 0;
  for (const auto& [name, tensor] : before.tensors) {
    if (tensor.shape.empty() || tensor.shape[0] != 3) continue;
    const std::vector<float>& now = after.tensors.at(name).data;
    const size_t row = tensor.data.size() / 3;
    for (size_t i = 0; i < tensor.data.size(); ++i) {
      const bool moments = name.find("adam_") != std::string::npos;
      if (i / row != 1) {
        ASSERT_EQ(now[i], tensor.data[i]) << name;
      } else if (moments) {
        ASSERT_EQ(now[i], 0) << name;
      } else {
        weights += now[i] != tensor.data[i] ? 1 : 0;
      }
    }
  }
  EXPECT_GT(weights, 1000);
  EXPECT_EQ(learner->ResetMember(3).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(learner->Fit(Line(300, 1), Line(100, 2), {}).ok());
}

TEST(EnsembleLearner, BadOptionsDataAndCancellationAreRefused) {
  EnsembleLearnerOptions options = SmallOptions();
  options.elites = 4;
  EXPECT_EQ(EnsembleLearner::Create(LineSpec(), options).status().code(),
            absl::StatusCode::kInvalidArgument);
  options = SmallOptions();
  options.termination = TerminationKind::kKnown;  // "line" is no registered environment
  EXPECT_FALSE(EnsembleLearner::Create(LineSpec(), options).ok());
  auto learner = *EnsembleLearner::Create(LineSpec(), SmallOptions());
  EXPECT_EQ(learner->Fit({}, {}, {}).status().code(), absl::StatusCode::kInvalidArgument);
  TransitionBatch broken = Line(10, 1);
  broken.rewards.pop_back();
  EXPECT_EQ(learner->Fit(broken, {}, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(learner->Fit(Line(10, 1), {}, [] { return true; }).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(LoadDynamicsModel, SnapshotsOfAnotherSpecOrKindAreRefused) {
  EnsembleLearnerOptions options = SmallOptions();
  options.max_gradient_steps = 1;
  auto learner = *EnsembleLearner::Create(LineSpec(), options);
  ASSERT_TRUE(learner->Fit(Line(100, 1), {}, {}).ok());
  const nn::TensorFile good = learner->ExportModel();
  const auto why = [&](const nn::TensorFile& file, const EnvironmentSpec& spec) {
    const auto model = LoadDynamicsModel(file, spec, "cpu");
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(model.status().message());
  };
  EXPECT_TRUE(LoadDynamicsModel(good, LineSpec(), "cpu").ok());
  EnvironmentSpec spec = LineSpec();
  spec.name = "curve";
  EXPECT_THAT(why(good, spec), HasSubstr("expected curve, got line"));
  spec = LineSpec();
  spec.action = {{-1, -1}, {1, 1}};
  EXPECT_THAT(why(good, spec), HasSubstr("action_dim: expected 2, got 1"));
  nn::TensorFile file = good;
  file.metadata["kind"] = "rssm";
  EXPECT_THAT(why(file, LineSpec()), HasSubstr("gaussian_ensemble"));
  file = good;
  file.metadata["elites"] = "0,3";
  EXPECT_THAT(why(file, LineSpec()), HasSubstr("elites"));
  file = good;
  file.metadata["hidden"] = "32,31";
  EXPECT_THAT(why(file, LineSpec()), HasSubstr("expected shape"));
  file = good;
  file.tensors.at("model.w0").data[0] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(why(file, LineSpec()), HasSubstr("finite"));
}

}  // namespace
}  // namespace tandem::dynamics
