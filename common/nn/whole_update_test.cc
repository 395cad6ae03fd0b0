// Whole updates of the explicit implementation against the reference, in ordinary and in awkward
// conditions.

#include <cmath>
#include <string>
#include <vector>

#include "common/nn/device.h"
#include "common/nn/testing/networks.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

using testing::Autograd;
using testing::RandomData;
using testing::RelativeDifference;

/// Small products on several threads cost more than they save.
const bool kOneThread = ConfigureThreads(1).ok();

void ExpectClose(const SacFigures& got, const SacFigures& expected, double tolerance) {
  EXPECT_NEAR(got.critic_loss, expected.critic_loss, tolerance * (1 + expected.critic_loss));
  EXPECT_NEAR(got.actor_loss, expected.actor_loss, tolerance);
  EXPECT_NEAR(got.entropy, expected.entropy, tolerance);
  EXPECT_NEAR(got.temperature, expected.temperature, tolerance);
}

// A parameter whose gradient is almost 0 moves by Adam's full step in the direction of a rounding
// error, so that two implementations part by about the learning rate there, and what is computed
// from them by that much of the loss. Over 100 updates of lr 1e-3 that gives the figures' 4th
// digit; a wrong factor anywhere gives their first.
TEST(WholeUpdates, AHundredOfSacAgreeWithAutograd) {
  const ActorCriticSpec spec{.obs_dim = 6, .action_dim = 2, .hidden = {64, 64}};
  const SacOptions options{.lr = 1e-3, .temperature_lr = 1e-3, .tau = 0.02};
  auto reference = Autograd(spec, options, 3);
  auto fast = MakeExplicitActorCritic(spec, options, 3);
  for (int update = 0; update < 100; ++update) {
    const testing::SacData data = RandomData(spec, 64, update);
    const auto expected = reference->Update(data.Batch());
    const auto got = fast->Update(data.Batch());
    ASSERT_TRUE(expected.ok() && got.ok());
    ExpectClose(*got, *expected, 0.01);
  }
  const testing::SacData data = RandomData(spec, 200, 1000);
  std::vector<float> actions(400), expected_actions(400), values(200), expected_values(200);
  ASSERT_TRUE(fast->Act(data.observations, {}, actions, {}).ok());
  ASSERT_TRUE(reference->Act(data.observations, {}, expected_actions, {}).ok());
  EXPECT_LT(RelativeDifference(actions, expected_actions), 0.02);
  ASSERT_TRUE(fast->Value(data.observations, data.actions, true, values).ok());
  ASSERT_TRUE(reference->Value(data.observations, data.actions, true, expected_values).ok());
  EXPECT_LT(RelativeDifference(values, expected_values), 0.02);
}

TEST(WholeUpdates, AHundredOfTheEnsembleAgreeWithAutograd) {
  const GaussianEnsembleSpec spec{
      .members = 3, .input_dim = 5, .output_dim = 4, .binary_dim = 1, .hidden = {64, 64, 64}};
  auto reference = Autograd(spec, 3);
  auto fast = MakeExplicitEnsemble(spec, 3);
  std::vector<float> expected(3), got(3);
  for (int step = 0; step < 100; ++step) {
    const testing::EnsembleData data = RandomData(spec, 64, step);
    const AdamOptions options{.lr = 1e-3, .weight_decay = 5e-5};
    ASSERT_TRUE(reference->TrainStep(data.Rows(), options, expected).ok());
    ASSERT_TRUE(fast->TrainStep(data.Rows(), options, got).ok());
    for (int m = 0; m < 3; ++m)
      ASSERT_NEAR(got[m], expected[m], 2e-3 * (1 + std::abs(expected[m])));
  }
  const testing::EnsembleData data = RandomData(spec, 100, 1000);
  EnsemblePrediction a, b;
  const std::span<const float> inputs = std::span(data.inputs).first(100 * spec.input_dim);
  ASSERT_TRUE(fast->Predict(2, inputs, &a).ok());
  ASSERT_TRUE(reference->Predict(2, inputs, &b).ok());
  EXPECT_LT(RelativeDifference(a.means, b.means), 0.01);
  EXPECT_LT(RelativeDifference(a.log_vars, b.log_vars), 0.01);
  EXPECT_LT(RelativeDifference(a.stds, b.stds), 0.01);
}

TEST(WholeUpdates, OddSizesAndOneRowAgreeWithAutograd) {
  for (const int64_t rows : {1, 3, 17, 257, 1100}) {
    for (const std::vector<int>& hidden : {std::vector<int>{1}, {17, 31}, {65, 7, 129}}) {
      SCOPED_TRACE(std::to_string(rows) + " rows, first layer of " + std::to_string(hidden[0]));
      const ActorCriticSpec sac{.obs_dim = 7, .action_dim = 3, .hidden = hidden};
      const testing::SacData sac_data = RandomData(sac, rows, 1);
      const auto expected = Autograd(sac, {}, 3)->Update(sac_data.Batch());
      const auto got = MakeExplicitActorCritic(sac, {}, 3)->Update(sac_data.Batch());
      ASSERT_TRUE(expected.ok() && got.ok());
      ExpectClose(*got, *expected, 1e-3);

      const GaussianEnsembleSpec model{
          .members = 2, .input_dim = 3, .output_dim = 17, .binary_dim = 1, .hidden = hidden};
      const testing::EnsembleData data = RandomData(model, rows, 1);
      auto reference = Autograd(model, 3);
      auto fast = MakeExplicitEnsemble(model, 3);
      std::vector<float> a(2), b(2);
      for (int step = 0; step < 2; ++step) {
        ASSERT_TRUE(fast->TrainStep(data.Rows(), {}, a).ok());
        ASSERT_TRUE(reference->TrainStep(data.Rows(), {}, b).ok());
        EXPECT_LT(RelativeDifference(a, b), 1e-4);
      }
    }
  }
}

TEST(WholeUpdates, LogVariancesFarBeyondTheirBoundsStayFiniteAndAgree) {
  const GaussianEnsembleSpec spec{
      .members = 2, .input_dim = 3, .output_dim = 2, .hidden = {20, 20}};
  auto reference = Autograd(spec, 3);
  auto fast = MakeExplicitEnsemble(spec, 3);
  TensorFile file;
  fast->ExportParameters("", &file);
  std::vector<float>& head_bias = file.tensors.at("b2").data;  // [2, 1, means, log variances]
  head_bias[2] = 1000;
  head_bias[3] = -1000;
  ASSERT_TRUE(fast->ImportParameters("", file).ok());
  ASSERT_TRUE(reference->ImportParameters("", file).ok());
  const testing::EnsembleData data = RandomData(spec, 32, 1);
  std::vector<float> a(2), b(2);
  for (int step = 0; step < 5; ++step) {
    ASSERT_TRUE(fast->TrainStep(data.Rows(), {}, a).ok());
    ASSERT_TRUE(reference->TrainStep(data.Rows(), {}, b).ok());
    EXPECT_LT(RelativeDifference(a, b), 1e-3);
  }
  EnsemblePrediction prediction;
  ASSERT_TRUE(fast->Predict(0, std::span(data.inputs).first(3), &prediction).ok());
  for (const float x : prediction.log_vars) EXPECT_TRUE(std::isfinite(x));
  EXPECT_NEAR(prediction.log_vars[0], 0.5, 0.1);  // the upper bound
  EXPECT_NEAR(prediction.log_vars[1], -10, 0.1);  // the lower bound
}

TEST(WholeUpdates, AnActorWhoseUnitsAreAllDeadAgrees) {
  const ActorCriticSpec spec{.obs_dim = 3, .action_dim = 2, .hidden = {24, 24}};
  auto reference = Autograd(spec, {}, 3);
  auto fast = MakeExplicitActorCritic(spec, {}, 3);
  TensorFile file;
  fast->ExportParameters(&file);
  for (float& x : file.tensors.at("actor.b0").data) x = -1000;
  ASSERT_TRUE(fast->ImportParameters(file).ok());
  ASSERT_TRUE(reference->ImportParameters(file).ok());
  const testing::SacData data = RandomData(spec, 40, 1);
  const auto expected = reference->Update(data.Batch());
  const auto got = fast->Update(data.Batch());
  ASSERT_TRUE(expected.ok() && got.ok());
  ExpectClose(*got, *expected, 1e-4);
  TensorFile after;
  fast->ExportParameters(&after);
  EXPECT_EQ(after.tensors.at("actor.w0").data, file.tensors.at("actor.w0").data);
  EXPECT_EQ(after.tensors.at("actor.b0").data, file.tensors.at("actor.b0").data);
}

}  // namespace
}  // namespace tandem::nn
