#include "common/objective/classifier_learner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "common/base/rng.h"
#include "common/nn/device.h"
#include "common/objective/log_ratio.h"
#include "common/objective/transition_classifier.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::objective {
namespace {

const bool kOneThread = nn::ConfigureThreads(1).ok();

EnvironmentSpec Spec() {
  const float inf = std::numeric_limits<float>::infinity();
  return {.name = "line", .observation = {{-inf}, {inf}}, .action = {{-1}, {1}}};
}

/// A model whose density is known: s' = s + a + shift + std * N(0, 1).
class GaussianShift : public dynamics::DynamicsModel {
 public:
  /// Each so many-th sample of a step is not a number; 0: none.
  GaussianShift(double shift, double std, size_t broken = 0)
      : shift_(shift), std_(std), broken_(broken) {}
  int64_t obs_dim() const override { return 1; }
  int64_t action_dim() const override { return 1; }
  const std::vector<int>& elites() const override { return elites_; }
  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng& rng,
                    dynamics::ModelStep* step) override {
    step->next_observations.resize(observations.size());
    step->rewards.assign(observations.size(), 0);
    step->terminated.assign(observations.size(), 0);
    for (size_t i = 0; i < observations.size(); ++i) {
      step->next_observations[i] =
          static_cast<float>(observations[i] + actions[i] + shift_ + std_ * rng.Normal());
      if (broken_ > 0 && i % broken_ == 0) {
        step->next_observations[i] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    return absl::OkStatus();
  }
  absl::Status Predict(int, std::span<const float>, std::span<const float>,
                       dynamics::MemberPrediction*) override {
    return absl::UnimplementedError("not asked here");
  }

 private:
  const double shift_, std_;
  const size_t broken_;
  const std::vector<int> elites_ = {0};
};

/// Transitions of `world` from standard normal states under uniform actions.
TransitionBatch Sample(GaussianShift& world, int64_t rows, uint64_t seed) {
  Rng rng(seed);
  TransitionBatch batch;
  batch.obs_dim = 1;
  batch.action_dim = 1;
  batch.observations.resize(rows);
  rng.FillNormal(batch.observations);
  for (int64_t i = 0; i < rows; ++i) {
    batch.actions.push_back(static_cast<float>(rng.Uniform(-1, 1)));
  }
  dynamics::ModelStep step;
  EXPECT_TRUE(world.Step(batch.observations, batch.actions, rng, &step).ok());
  batch.next_observations = step.next_observations;
  batch.rewards = step.rewards;
  batch.terminated = step.terminated;
  return batch;
}

std::unique_ptr<ClassifierLearner> MakeLearner(const ClassifierLearnerOptions& options) {
  auto made = ClassifierLearner::Create(Spec(), options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::unique_ptr<TransitionClassifier> Exported(const ClassifierLearner& learner) {
  nn::TensorFile file;
  EXPECT_FALSE(TransitionClassifier::IsIn(file));
  learner.Export(&file);
  EXPECT_TRUE(TransitionClassifier::IsIn(file));
  auto loaded = TransitionClassifier::Load(file, Spec(), "cpu");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return *std::move(loaded);
}

/// Both kinds are Gaussians in d = s' - s - a: real N(0.7, 1), model N(0, 0.8), so that
///   log p - log q = d^2 / (2 * 0.64) - (d - 0.7)^2 / 2 + log 0.8.
TEST(ClassifierLearnerTest, RecoversTheLogRatioOfTwoGaussians) {
  GaussianShift world(0.7, 1), model(0, 0.8);
  const TransitionBatch train = Sample(world, 8000, 1), holdout = Sample(world, 2000, 2);
  const auto learner =
      MakeLearner({.hidden = {32, 32}, .first_steps = 2500, .smoothing = 0, .seed = 3});
  const auto report = learner->Fit(train, holdout, model, {});
  ASSERT_TRUE(report.ok()) << report.status();
  const auto classifier = Exported(*learner);
  std::vector<float> logits(holdout.size());
  ASSERT_TRUE(
      classifier->Logits(holdout.observations, holdout.actions, holdout.next_observations, logits)
          .ok());
  double error = 0, right = 0, taken = 0, expected_mean = 0;
  for (int64_t i = 0; i < holdout.size(); ++i) {
    const double d = holdout.next_observations[i] - holdout.observations[i] - holdout.actions[i];
    const double exact = d * d / (2 * 0.64) - (d - 0.7) * (d - 0.7) / 2 + std::log(0.8);
    error += std::abs(logits[i] - exact) / static_cast<double>(holdout.size());
    right += (exact > 0 ? 1.0 : 0.0) / static_cast<double>(holdout.size());
    taken += (logits[i] > 0 ? 1.0 : 0.0) / static_cast<double>(holdout.size());
    expected_mean += exact / static_cast<double>(holdout.size());
  }
  EXPECT_LT(error, 0.2);
  EXPECT_TRUE(report->held_out);
  EXPECT_EQ(report->scored_rows, 2000);
  EXPECT_NEAR(taken, right, 0.06) << "real steps taken for real";
  EXPECT_NEAR(report->real_logit, expected_mean, 0.15);
  EXPECT_LT(report->model_logit, 0);  // minus KL(q || p)
  EXPECT_LT(report->loss, std::log(2.0));
}

TEST(ClassifierLearnerTest, WhereTheModelIsTheWorldThereIsNothingToTell) {
  GaussianShift world(0.2, 0.5), model(0.2, 0.5);
  const auto learner = MakeLearner({.hidden = {32, 32}, .first_steps = 800, .seed = 3});
  const auto report = learner->Fit(Sample(world, 8000, 1), Sample(world, 2000, 2), model, {});
  ASSERT_TRUE(report.ok());
  EXPECT_NEAR(report->accuracy, 0.5, 0.04);
  EXPECT_NEAR(report->model_logit, 0, 0.05);
}

/// Supports that never meet: the true ratio is infinite, the targets and the clip bound it.
TEST(ClassifierLearnerTest, ASaturatedClassifierIsBounded) {
  GaussianShift world(5, 0.1), model(0, 0.1);
  const TransitionBatch train = Sample(world, 4000, 1);
  const auto learner =
      MakeLearner({.hidden = {16, 16}, .first_steps = 1500, .smoothing = 0.05, .seed = 3});
  const auto report = learner->Fit(train, {}, model, {});
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->held_out);
  EXPECT_GT(report->accuracy, 0.999);
  EXPECT_NEAR(report->real_logit, std::log(19.0), 0.3);
  EXPECT_NEAR(report->model_logit, -std::log(19.0), 0.3);

  const auto classifier = Exported(*learner);
  LogRatioEstimator estimator({.lower = -2, .upper = 0, .samples = 3}, model, *classifier);
  const TransitionBatch imagined = Sample(model, 5000, 4);
  Rng rng(5);
  std::vector<float> ratios(imagined.size());
  LogRatioFigures figures;
  ASSERT_TRUE(estimator
                  .Estimate(imagined.observations, imagined.actions, imagined.next_observations,
                            rng, ratios, &figures)
                  .ok());
  EXPECT_EQ(figures.rows, 5000);
  EXPECT_EQ(figures.mean(), -2);
  EXPECT_EQ(figures.lower_share(), 1);
  EXPECT_EQ(figures.upper_share(), 0);
  // The clip at -5 never bites, and yet it is told, where the target is known.
  LogRatioFigures seen;
  ASSERT_TRUE(LogRatioEstimator({.best_logit = std::log(19.0)}, model, *classifier)
                  .Estimate(imagined.observations, imagined.actions, imagined.next_observations,
                            rng, ratios, &seen)
                  .ok());
  EXPECT_GT(seen.lower_share(), 0.6);
  // What only the world does has a positive logit, which is worth nothing.
  ASSERT_TRUE(LogRatioEstimator({.samples = 1}, model, *classifier)
                  .Estimate(train.observations, train.actions, train.next_observations, rng,
                            std::span(ratios).first(train.size()), &figures)
                  .ok());
  EXPECT_EQ(*std::max_element(ratios.begin(), ratios.begin() + train.size()), 0);
  EXPECT_EQ(figures.rows, 9000);
  EXPECT_NEAR(figures.upper_share(), 4000.0 / 9000, 0.01);
}

/// Targets of 0.6 to 1 and 0 to 0.4 have the means 0.8 and 0.2: the best logit is log 4, as with
/// those alone.
TEST(ClassifierLearnerTest, RandomTargetsKeepTheBestLogit) {
  GaussianShift world(5, 0.1), model(0, 0.1);
  const TransitionBatch train = Sample(world, 2000, 1);
  ClassifierLearnerOptions options{.hidden = {16}, .first_steps = 700, .smoothing = 0.2, .seed = 3};
  const double plain = MakeLearner(options)->Fit(train, {}, model, {})->real_logit;
  options.label_range = 0.2;
  const auto report = MakeLearner(options)->Fit(train, {}, model, {});
  ASSERT_TRUE(report.ok());
  EXPECT_NE(report->real_logit, plain);  // they are drawn
  EXPECT_NEAR(report->real_logit, std::log(4.0), 0.15);
  EXPECT_NEAR(report->model_logit, -std::log(4.0), 0.15);
}

/// Inputs far from all data: ReLU's logit grows with them, a normalised layer's is bounded.
TEST(ClassifierLearnerTest, ANormalisedFirstLayerLearnsAndIsBounded) {
  GaussianShift world(0.7, 1), model(0, 1);
  const TransitionBatch train = Sample(world, 4000, 1), holdout = Sample(world, 1000, 2);
  std::vector<double> far;
  for (const bool layer_norm : {false, true}) {
    const auto learner =
        MakeLearner({.hidden = {32}, .first_steps = 600, .layer_norm = layer_norm, .seed = 3});
    const auto report = learner->Fit(train, holdout, model, {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GT(report->accuracy, 0.6);
    const auto classifier = Exported(*learner);
    const std::vector<float> s = {0}, a = {0}, next = {1e6f};
    std::vector<float> logit(1);
    ASSERT_TRUE(classifier->Logits(s, a, next, logit).ok());
    far.push_back(std::abs(logit[0]));
  }
  EXPECT_GT(far[0], 1e3);
  EXPECT_LT(far[1], 100);
}

TEST(LogRatioEstimatorTest, MoreSamplesMeanLessNoise) {
  GaussianShift world(0.7, 1), model(0, 1);
  const auto learner = MakeLearner({.hidden = {16}, .first_steps = 500, .seed = 3});
  ASSERT_TRUE(learner->Fit(Sample(world, 4000, 1), {}, model, {}).ok());
  const auto classifier = Exported(*learner);
  const TransitionBatch imagined = Sample(model, 4000, 4);
  std::vector<double> spreads;
  for (const int samples : {1, 9}) {
    LogRatioEstimator estimator({.lower = -50, .upper = 50, .samples = samples}, model,
                                *classifier);
    Rng rng(5);
    std::vector<float> ratios(imagined.size());
    LogRatioFigures figures;
    ASSERT_TRUE(estimator
                    .Estimate(imagined.observations, imagined.actions, imagined.next_observations,
                              rng, ratios, &figures)
                    .ok());
    double squares = 0;
    for (const float x : ratios) squares += (x - figures.mean()) * (x - figures.mean());
    spreads.push_back(std::sqrt(squares / static_cast<double>(ratios.size())));
  }
  EXPECT_NEAR(spreads[1] / spreads[0], 1.0 / 3, 0.1);
  EXPECT_FALSE(Validate(LogRatioOptions{.lower = 1, .upper = 0}).ok());
  EXPECT_FALSE(Validate(LogRatioOptions{.best_logit = 0}).ok());
  EXPECT_FALSE(Validate(LogRatioOptions{.samples = 0}).ok());
}

TEST(LogRatioEstimatorTest, APriceUpToTheToleranceIsLetOff) {
  GaussianShift world(0.7, 1), model(0, 1);
  const auto learner = MakeLearner({.hidden = {16}, .first_steps = 500, .seed = 3});
  ASSERT_TRUE(learner->Fit(Sample(world, 4000, 1), {}, model, {}).ok());
  const auto classifier = Exported(*learner);
  const TransitionBatch imagined = Sample(model, 4000, 4);
  const auto estimate = [&](double tolerance) {
    LogRatioEstimator estimator({.lower = -1, .tolerance = tolerance, .samples = 1}, model,
                                *classifier);
    Rng rng(5);
    std::vector<float> ratios(imagined.size());
    EXPECT_TRUE(estimator
                    .Estimate(imagined.observations, imagined.actions, imagined.next_observations,
                              rng, ratios, nullptr)
                    .ok());
    return ratios;
  };
  const std::vector<float> all = estimate(0), some = estimate(0.3);
  int let_off = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] > -1) {
      EXPECT_NEAR(some[i], std::min(all[i] + 0.3f, 0.0f), 1e-6);
    }
    EXPECT_GE(some[i], -1);
    let_off += all[i] < 0 && some[i] == 0 ? 1 : 0;
  }
  EXPECT_GT(let_off, 100);
  EXPECT_LT(*std::min_element(some.begin(), some.end()), -0.1);
  EXPECT_FALSE(Validate(LogRatioOptions{.tolerance = -0.1}).ok());
}

TEST(LogRatioEstimatorTest, WhatIsNotFiniteCostsTheLowerBound) {
  GaussianShift world(0.7, 1), model(0, 1), broken(0, 1, /*broken=*/4);
  const auto learner = MakeLearner({.hidden = {16}, .first_steps = 200, .seed = 3});
  const TransitionBatch train = Sample(world, 1000, 1);
  const auto report = learner->Fit(train, Sample(world, 400, 2), broken, {});
  ASSERT_TRUE(report.ok()) << report.status();  // a pair that is not finite teaches nothing
  EXPECT_EQ(report->scored_rows, 300);
  EXPECT_TRUE(std::isfinite(report->loss));
  GaussianShift hopeless(0, 1, /*broken=*/1);
  EXPECT_EQ(learner->Fit(train, {}, hopeless, {}).status().code(), absl::StatusCode::kInternal);

  const auto classifier = Exported(*learner);
  const TransitionBatch imagined = Sample(model, 5000, 4);
  std::vector<float> ratios(imagined.size());
  LogRatioFigures figures;
  Rng rng(5);
  ASSERT_TRUE(LogRatioEstimator({.lower = -30, .upper = 30, .samples = 2}, broken, *classifier)
                  .Estimate(imagined.observations, imagined.actions, imagined.next_observations,
                            rng, ratios, &figures)
                  .ok());
  EXPECT_EQ(figures.at_lower, 1250);
  EXPECT_EQ(figures.at_upper, 0);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(ratios[i] == -30, i % 4 == 0) << i;

  int asked = 0;
  EXPECT_EQ(LogRatioEstimator({}, model, *classifier, [&asked] { return ++asked == 2; })
                .Estimate(imagined.observations, imagined.actions, imagined.next_observations, rng,
                          ratios, nullptr)
                .code(),
            absl::StatusCode::kCancelled);  // before its second block
}

TEST(TransitionClassifierTest, RefusesSizesOutOfRange) {
  nn::TensorFile file;
  MakeLearner({.hidden = {8}})->Export(&file);
  for (const char* hidden : {"0", "65537", "8,-1"}) {
    file.metadata["classifier.hidden"] = hidden;
    EXPECT_EQ(TransitionClassifier::Load(file, Spec(), "cpu").status().code(),
              absl::StatusCode::kInvalidArgument)
        << hidden;
  }
}

TEST(TransitionClassifierTest, GradientsByTheNextObservation) {
  GaussianShift world(0.7, 1), model(0, 1);
  const auto learner = MakeLearner({.hidden = {16, 8}, .first_steps = 50, .seed = 3});
  ASSERT_TRUE(learner->Fit(Sample(world, 500, 1), {}, model, {}).ok());
  const auto classifier = Exported(*learner);
  TransitionBatch rows = Sample(world, 50, 7);
  std::vector<float> logits(50), up(50), down(50), gradients(50);
  ASSERT_TRUE(classifier
                  ->LogitGradients(rows.observations, rows.actions, rows.next_observations, logits,
                                   gradients)
                  .ok());
  for (float& x : rows.next_observations) x += 1e-3f;
  ASSERT_TRUE(classifier->Logits(rows.observations, rows.actions, rows.next_observations, up).ok());
  for (float& x : rows.next_observations) x -= 2e-3f;
  ASSERT_TRUE(
      classifier->Logits(rows.observations, rows.actions, rows.next_observations, down).ok());
  int off = 0;  // a kink of ReLU may lie between the two
  for (int i = 0; i < 50; ++i) off += std::abs(gradients[i] - (up[i] - down[i]) / 2e-3) > 5e-3;
  EXPECT_LE(off, 2);
  EXPECT_EQ(
      classifier
          ->Logits(rows.observations, rows.actions, rows.next_observations, std::span(up).first(9))
          .code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(ClassifierLearnerTest, GoesOnFromItsStateBitForBit) {
  GaussianShift world(0.7, 1), model(0, 1);
  const TransitionBatch train = Sample(world, 500, 1);
  for (const bool extras : {false, true}) {
    ClassifierLearnerOptions options{.hidden = {16}, .first_steps = 20, .fit_steps = 10};
    if (extras) {
      options.label_range = 0.05;
      options.max_gradient_norm = 0.1;
      options.layer_norm = true;
    }
    const auto one = MakeLearner(options), two = MakeLearner(options);
    ASSERT_TRUE(one->Fit(train, {}, model, {}).ok());
    nn::TensorFile state;
    one->SaveState(&state);
    ASSERT_TRUE(two->LoadState(state).ok());
    EXPECT_EQ(two->fits(), 1);
    EXPECT_EQ(one->Fit(train, {}, model, {})->loss, two->Fit(train, {}, model, {})->loss);
    EXPECT_FALSE(MakeLearner({.hidden = {8}})->LoadState(state).ok());
    options.layer_norm = !extras;
    EXPECT_FALSE(MakeLearner(options)->LoadState(state).ok());
  }
}

TEST(ClassifierLearnerTest, AGradientThatIsClippedLearnsSomethingElse) {
  GaussianShift world(0.7, 1), model(0, 1);
  const TransitionBatch train = Sample(world, 500, 1);
  ClassifierLearnerOptions options{.hidden = {16}, .first_steps = 20};
  const double plain = MakeLearner(options)->Fit(train, {}, model, {})->loss;
  options.max_gradient_norm = 1e6;
  EXPECT_EQ(MakeLearner(options)->Fit(train, {}, model, {})->loss, plain);
  options.max_gradient_norm = 0.01;
  EXPECT_NE(MakeLearner(options)->Fit(train, {}, model, {})->loss, plain);
}

/// A transition into a terminal state is a transition like any other: flags change nothing.
TEST(ClassifierLearnerTest, TerminalStatesAreStatesLikeOthers) {
  GaussianShift world(0.7, 1), model(0, 1);
  TransitionBatch train = Sample(world, 500, 1);
  const ClassifierLearnerOptions options{.hidden = {16}, .first_steps = 20};
  const double plain = MakeLearner(options)->Fit(train, {}, model, {})->loss;
  std::fill(train.terminated.begin(), train.terminated.end(), 1);
  EXPECT_EQ(MakeLearner(options)->Fit(train, {}, model, {})->loss, plain);
}

TEST(ClassifierLearnerTest, RefusesAndCancels) {
  GaussianShift world(0.7, 1), model(0, 1);
  EXPECT_FALSE(ClassifierLearner::Create(Spec(), {.smoothing = 0.5}).ok());
  EXPECT_FALSE(ClassifierLearner::Create(Spec(), {.fit_steps = 0}).ok());
  EXPECT_FALSE(ClassifierLearner::Create(Spec(), {.smoothing = 0.05, .label_range = 0.06}).ok());
  EXPECT_TRUE(ClassifierLearner::Create(Spec(), {.smoothing = 1 - 0.95, .label_range = 0.05}).ok());
  EXPECT_FALSE(ClassifierLearner::Create(Spec(), {.max_gradient_norm = -1}).ok());
  const auto learner = MakeLearner({.first_steps = 10});
  EXPECT_EQ(learner->Fit({}, {}, model, {}).status().code(), absl::StatusCode::kInvalidArgument);
  TransitionBatch train = Sample(world, 100, 1);
  EXPECT_EQ(learner->Fit(train, {}, model, [] { return true; }).status().code(),
            absl::StatusCode::kCancelled);
  train.actions.pop_back();
  EXPECT_EQ(learner->Fit(train, {}, model, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(TransitionClassifier::Load({}, Spec(), "cpu").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tandem::objective
