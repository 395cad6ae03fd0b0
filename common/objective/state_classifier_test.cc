#include "common/objective/state_classifier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "common/base/rng.h"
#include "common/nn/device.h"
#include "common/objective/log_ratio.h"
#include "common/objective/testing/constant_classifier.h"
#include "gtest/gtest.h"

namespace tandem::objective {
namespace {

const bool kOneThread = nn::ConfigureThreads(1).ok();

/// `rows` states of one element, uniform in [low, high].
std::vector<float> Uniform(double low, double high, int rows, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> states(rows);
  for (float& x : states) x = static_cast<float>(rng.Uniform(low, high));
  return states;
}

std::unique_ptr<StateClassifier> Make(const StateClassifierOptions& options, int64_t obs_dim = 1) {
  auto made = StateClassifier::Create(obs_dim, options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

void FitOn(StateClassifier& classifier, const std::vector<float>& real,
           const std::vector<float>& imagined, uint64_t seed) {
  Rng rng(seed);
  const absl::Status status = classifier.Fit(real, imagined, rng, {});
  ASSERT_TRUE(status.ok()) << status;
}

double Logit(StateClassifier& classifier, float state) {
  float logit = 0;
  EXPECT_TRUE(classifier.Logits({&state, 1}, {&logit, 1}).ok());
  return logit;
}

/// Real states are uniform in [0, 1], imagined ones in [0, 2]: with a share a of real ones among
/// the imagined examples the ratio is 1 / (a + (1 - a) / 2) inside, and 0 outside.
TEST(StateClassifierTest, RecoversTheRatioOfTwoUniforms) {
  const auto classifier = Make({.first_steps = 2500, .smoothing = 0.01, .mixture = 0.5});
  FitOn(*classifier, Uniform(0, 1, 4000, 1), Uniform(0, 2, 4000, 2), 3);
  for (const float inside : {0.1F, 0.4F, 0.8F}) {
    EXPECT_NEAR(Logit(*classifier, inside), std::log(1 / 0.75), 0.2) << inside;
  }
  for (const float outside : {1.3F, 1.6F, 1.9F}) EXPECT_LT(Logit(*classifier, outside), -3.5);
}

/// A policy that is ten times as often somewhere as the data are does not leave them.
TEST(StateClassifierTest, TheMixtureDampensWhatCrowdingCosts) {
  const std::vector<float> real = Uniform(0, 1, 4000, 1), crowd = Uniform(0.8, 0.9, 4000, 2);
  const auto mixed = Make({.first_steps = 2000, .mixture = 0.75});
  FitOn(*mixed, real, crowd, 3);
  EXPECT_NEAR(Logit(*mixed, 0.85F), -std::log(0.75 + 0.25 * 10), 0.4);
  const auto pure = Make({.first_steps = 2000, .mixture = 0});
  FitOn(*pure, real, crowd, 3);
  EXPECT_LT(Logit(*pure, 0.85F), Logit(*mixed, 0.85F) - 0.5);
}

TEST(StateClassifierTest, AHoleThatThePolicyLeftStaysClosed) {
  const std::vector<float> real = Uniform(0, 1, 4000, 1), honest = Uniform(0, 1, 4000, 2),
                           hole = Uniform(1.2, 1.6, 4000, 3);
  const auto classifier = Make({.first_steps = 1500, .fit_steps = 300});
  FitOn(*classifier, real, hole, 4);
  const double before = Logit(*classifier, 1.4F);
  for (uint64_t fit = 0; fit < 10; ++fit) FitOn(*classifier, real, honest, 5 + fit);
  EXPECT_LT(before, -3);
  EXPECT_LT(Logit(*classifier, 1.4F), -3);
  EXPECT_EQ(classifier->fits(), 11);
}

TEST(StateClassifierTest, TheMemoryIsBoundedAndKeepsTheOldest) {
  const std::vector<float> real = Uniform(0, 1, 2000, 1), hole = Uniform(1.2, 1.6, 2000, 2),
                           honest = Uniform(0, 1, 2000, 3);
  const auto classifier = Make({.first_steps = 1000, .memory_rows = 500});
  FitOn(*classifier, real, hole, 4);
  for (uint64_t fit = 0; fit < 5; ++fit) FitOn(*classifier, real, honest, 5 + fit);
  EXPECT_EQ(classifier->memory_rows(), 500);
  EXPECT_LT(Logit(*classifier, 1.4F), -2);  // a sixth of 500 rows are still of the hole
}

TEST(StateClassifierTest, TheSameDrawsGiveTheSameLogits) {
  const std::vector<float> real = Uniform(0, 1, 500, 1), imagined = Uniform(0, 2, 500, 2);
  const auto one = Make({.first_steps = 50}), other = Make({.first_steps = 50});
  FitOn(*one, real, imagined, 3);
  FitOn(*other, real, imagined, 3);
  EXPECT_EQ(Logit(*one, 0.5F), Logit(*other, 0.5F));
  EXPECT_EQ(Logit(*one, 1.5F), Logit(*other, 1.5F));
}

TEST(StateClassifierTest, RowsThatAreNotFiniteAreLeftOut) {
  std::vector<float> real = Uniform(0, 1, 500, 1), imagined = Uniform(0, 2, 500, 2);
  real.push_back(std::numeric_limits<float>::quiet_NaN());
  imagined.push_back(std::numeric_limits<float>::infinity());
  const auto classifier = Make({.first_steps = 50});
  FitOn(*classifier, real, imagined, 3);
  EXPECT_TRUE(std::isfinite(Logit(*classifier, 0.5F)));
}

/// A model that log-ratios of one sample never ask for a step.
class NoModel : public dynamics::DynamicsModel {
 public:
  int64_t obs_dim() const override { return 1; }
  int64_t action_dim() const override { return 1; }
  const std::vector<int>& elites() const override { return elites_; }
  absl::Status Step(std::span<const float>, std::span<const float>, Rng&,
                    dynamics::ModelStep*) override {
    return absl::UnimplementedError("not asked here");
  }
  absl::Status Predict(int, std::span<const float>, std::span<const float>,
                       dynamics::MemberPrediction*) override {
    return absl::UnimplementedError("not asked here");
  }

 private:
  const std::vector<int> elites_ = {0};
};

TEST(LogRatioEstimatorTest, AddsThePriceOfStatesBeyondTheirToleranceWithinTheBound) {
  const auto states = Make({.first_steps = 2000, .mixture = 0});
  FitOn(*states, Uniform(0, 1, 4000, 1), Uniform(0.5, 2, 4000, 2), 3);
  NoModel model;
  const std::vector<float> from(4, 0), action(4, 0);
  const std::vector<float> next = {0.25F, 0.75F, 1.7F, std::numeric_limits<float>::quiet_NaN()};
  // Inside 0.4 nats, past the edge about -4.6, and what is no state the bound.
  const double inside = Logit(*states, next[1]), outside = Logit(*states, next[2]);
  ASSERT_LT(outside, -3);
  for (const double tolerance : {0.0, 2.0}) {
    for (const double lower : {-50.0, -2.5}) {
      const auto classifier = ConstantClassifier(1, 1, -1);
      LogRatioEstimator estimator({.lower = lower, .state_tolerance = tolerance, .samples = 1},
                                  model, *classifier, {}, states.get());
      Rng rng(4);
      std::vector<float> ratios(4);
      LogRatioFigures figures;
      ASSERT_TRUE(estimator.Estimate(from, action, next, rng, ratios, &figures).ok());
      const auto paid = [&](double logit) {
        return std::max(lower, -1 + std::min(0.0, logit + tolerance));
      };
      EXPECT_NEAR(ratios[0], -1, 1e-5);
      EXPECT_NEAR(ratios[1], paid(inside), 1e-4);
      EXPECT_NEAR(ratios[2], paid(outside), 1e-4);
      EXPECT_NEAR(figures.divergence(), -(ratios[0] + ratios[1] + ratios[2] + ratios[3]) / 4, 1e-4);
      EXPECT_EQ(ratios[3], static_cast<float>(lower));
    }
  }
  EXPECT_FALSE(Validate(LogRatioOptions{.state_tolerance = -1}).ok());
}

TEST(StateClassifierTest, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(StateClassifier::Create(0, {}).ok());
  EXPECT_FALSE(StateClassifier::Create(1, {.first_steps = 0}).ok());
  EXPECT_FALSE(StateClassifier::Create(1, {.smoothing = 0.5}).ok());
  EXPECT_FALSE(StateClassifier::Create(1, {.mixture = 1}).ok());
  EXPECT_FALSE(StateClassifier::Create(1, {.input_noise = -1}).ok());
  EXPECT_FALSE(StateClassifier::Create(1, {.memory_rows = 0}).ok());
  const auto classifier = Make({.first_steps = 1}, 2);
  std::vector<float> logits(1);
  const std::vector<float> state = {0, 0}, three = {0, 0, 0};
  EXPECT_EQ(classifier->Logits(state, logits).code(), absl::StatusCode::kFailedPrecondition);
  Rng rng(1);
  EXPECT_EQ(classifier->Fit(three, state, rng, {}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(classifier->Fit({}, state, rng, {}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(classifier->Fit(state, state, rng, [] { return true; }).code(),
            absl::StatusCode::kCancelled);
  ASSERT_TRUE(classifier->Fit(state, state, rng, {}).ok());
  EXPECT_EQ(classifier->Logits(three, logits).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tandem::objective
