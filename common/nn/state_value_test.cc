#include "common/nn/state_value.h"

#include <cmath>
#include <vector>

#include "common/base/rng.h"
#include "common/nn/actor_critic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

const ActorCriticSpec kSpec{.obs_dim = 3, .action_dim = 2, .hidden = {8, 8}};
constexpr double kTemperature = 0.3;
constexpr int64_t kRows = 5;

class StateValueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = ActorCritic::Create(kSpec, {}, "cpu", 7);
    ASSERT_TRUE(made.ok());
    network_ = *std::move(made);
    network_->ExportParameters(&file_);
    Rng rng(1);
    rng.FillNormal(observations_);
    rng.FillNormal(noise_);
  }

  /// By the actor-critic itself.
  std::vector<float> ExpectedValues(const std::vector<float>& observations) {
    std::vector<float> actions(kRows * 2), log_probs(kRows), values(kRows);
    EXPECT_TRUE(network_->Act(observations, noise_, actions, log_probs).ok());
    EXPECT_TRUE(network_->Value(observations, actions, /*target=*/true, values).ok());
    for (int64_t i = 0; i < kRows; ++i) {
      values[i] -= static_cast<float>(kTemperature * log_probs[i]);
    }
    return values;
  }

  std::unique_ptr<ActorCritic> network_;
  TensorFile file_;
  std::vector<float> observations_ = std::vector<float>(kRows * 3);
  std::vector<float> noise_ = std::vector<float>(kRows * 2);
};

TEST_F(StateValueTest, IsTheSoftValueAndItsSlope) {
  auto value = StateValue::Load(file_, kSpec, kTemperature, "cpu");
  ASSERT_TRUE(value.ok()) << value.status();
  std::vector<float> values(kRows), gradients(kRows * 3);
  ASSERT_TRUE((*value)->ValueGradients(observations_, noise_, values, gradients).ok());
  const std::vector<float> expected = ExpectedValues(observations_);
  for (int64_t i = 0; i < kRows; ++i) EXPECT_NEAR(values[i], expected[i], 1e-4);
  constexpr float kStep = 2e-3f;
  for (int64_t j = 0; j < 3; ++j) {
    std::vector<float> up = observations_, down = observations_;
    for (int64_t i = 0; i < kRows; ++i) {
      up[i * 3 + j] += kStep;
      down[i * 3 + j] -= kStep;
    }
    const std::vector<float> high = ExpectedValues(up), low = ExpectedValues(down);
    for (int64_t i = 0; i < kRows; ++i) {
      EXPECT_NEAR(gradients[i * 3 + j], (high[i] - low[i]) / (2 * kStep), 1e-2);
    }
  }
}

TEST_F(StateValueTest, NamesTheTensorThatIsMissingAndRefusesShapes) {
  auto value = StateValue::Load(file_, kSpec, kTemperature, "cpu");
  ASSERT_TRUE(value.ok());
  std::vector<float> values(kRows - 1), gradients(kRows * 3);
  EXPECT_EQ((*value)->ValueGradients(observations_, noise_, values, gradients).code(),
            absl::StatusCode::kInvalidArgument);
  file_.tensors.erase("target.w1");
  const absl::Status missing = StateValue::Load(file_, kSpec, kTemperature, "cpu").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), ::testing::HasSubstr("target.w1"));
}

}  // namespace
}  // namespace tandem::nn
