#include "common/objective/useful_model.h"

#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/rng.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/dynamics/training_samples.h"
#include "common/nn/device.h"
#include "common/nn/normal_stream.h"
#include "common/nn/state_value.h"
#include "common/objective/classifier_learner.h"
#include "common/objective/testing/constant_classifier.h"
#include "common/policy/sac_learner.h"
#include "common/policy/sac_snapshot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::objective {
namespace {

const bool kOneThread = nn::ConfigureThreads(1).ok();
constexpr int64_t kObs = 2, kAct = 1, kRows = 6;

EnvironmentSpec Spec() {
  const float inf = std::numeric_limits<float>::infinity();
  return {.name = "plane",
          .observation = {std::vector<float>(kObs, -inf), std::vector<float>(kObs, inf)},
          .action = {std::vector<float>(kAct, -1), std::vector<float>(kAct, 1)}};
}

std::vector<float> Normals(int64_t size, uint64_t seed) {
  std::vector<float> out(size);
  Rng(seed).FillNormal(out);
  return out;
}

/// s' = s + (a, 0) + noise.
TransitionBatch Transitions(int64_t rows, uint64_t seed) {
  TransitionBatch batch;
  batch.obs_dim = kObs;
  batch.action_dim = kAct;
  batch.observations = Normals(rows * kObs, seed);
  batch.actions = Normals(rows * kAct, seed + 1);
  batch.next_observations = Normals(rows * kObs, seed + 2);
  for (int64_t i = 0; i < rows * kObs; ++i) {
    batch.next_observations[i] = batch.observations[i] + 0.2f * batch.next_observations[i] +
                                 (i % kObs == 0 ? batch.actions[i / kObs] : 0.0f);
  }
  batch.rewards.assign(rows, 1);
  batch.terminated.assign(rows, 0);
  return batch;
}

dynamics::EnsembleLearnerOptions SmallModel() {
  dynamics::EnsembleLearnerOptions options;
  options.members = 2;
  options.elites = 2;
  options.hidden = {16, 16};
  options.max_gradient_steps = 300;
  options.patience_steps = 1000;
  options.termination = dynamics::TerminationKind::kNever;
  return options;
}

class UsefulModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto policy = policy::SacLearner::Create(Spec(), {.hidden = {8, 8}, .seed = 1});
    ASSERT_TRUE(policy.ok());
    policy_ = (*policy)->ExportPolicy();
    auto learner = ClassifierLearner::Create(Spec(), {.hidden = {8}, .seed = 2});
    ASSERT_TRUE(learner.ok());
    nn::TensorFile file;
    (*learner)->Export(&file);
    auto classifier = TransitionClassifier::Load(file, Spec(), "cpu");
    ASSERT_TRUE(classifier.ok());
    classifier_ = *std::move(classifier);
  }

  std::unique_ptr<UsefulModel> Make(const UsefulModelOptions& options) {
    auto made = UsefulModel::Create(Spec(), options);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  std::vector<float> Gradients(UsefulModel& objective) {
    std::vector<float> gradients(kRows * kObs, 7);
    EXPECT_TRUE(objective.Gradients(observations_, actions_, next_, gradients).ok());
    return gradients;
  }

  nn::TensorFile policy_;
  std::unique_ptr<TransitionClassifier> classifier_;
  const std::vector<float> observations_ = Normals(kRows * kObs, 3);
  const std::vector<float> actions_ = Normals(kRows * kAct, 4);
  const std::vector<float> next_ = Normals(kRows * kObs, 5);
};

TEST_F(UsefulModelTest, SaysNothingWithoutANetwork) {
  const auto objective = Make({.value_weight = 0.1, .ratio_weight = 0.1});
  EXPECT_FALSE(objective->active());
  EXPECT_THAT(Gradients(*objective), ::testing::Each(0.0f));
  ASSERT_TRUE(objective->SetCritic(policy_).ok());
  EXPECT_TRUE(objective->active());
  EXPECT_FALSE(objective->SetCritic({}).ok());  // the last one stays
  EXPECT_TRUE(objective->active());
  EXPECT_FALSE(UsefulModel::Create(Spec(), {.value_weight = 0.2}).ok());
  EXPECT_FALSE(UsefulModel::Create(Spec(), {.ratio_weight = -0.1}).ok());
}

TEST_F(UsefulModelTest, DescendsWhatEquationSevenAscends) {
  const auto ratio = Make({.ratio_weight = 0.05, .ramp_steps = 0});
  ratio->SetClassifier(classifier_.get());
  std::vector<float> logits(kRows), slopes(kRows * kObs);
  ASSERT_TRUE(classifier_->LogitGradients(observations_, actions_, next_, logits, slopes).ok());
  std::vector<float> got = Gradients(*ratio);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], -0.05 * slopes[i], 1e-6);

  const auto value = Make({.value_weight = 0.1, .ramp_steps = 0, .seed = 11});
  ASSERT_TRUE(value->SetCritic(policy_).ok());
  got = Gradients(*value);
  auto metadata = policy::SacMetadata::Import(policy_, Spec());
  ASSERT_TRUE(metadata.ok());
  auto plain = nn::StateValue::Load(policy_, policy::NetworkSpec(Spec(), metadata->hidden),
                                    metadata->temperature, "cpu");
  ASSERT_TRUE(plain.ok());
  std::vector<float> noise(kRows * kAct), values(kRows);
  nn::NormalStream(Rng(11, "useful_model").Next()).Fill(noise);  // the same actions
  ASSERT_TRUE((*plain)->ValueGradients(next_, noise, values, slopes).ok());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], -0.1 * slopes[i], 1e-6);
}

TEST_F(UsefulModelTest, ATermThatIsNotFiniteIsLeftOut) {
  const auto alone = Make({.value_weight = 0.1, .ramp_steps = 0, .seed = 11});
  const auto both = Make({.value_weight = 0.1, .ratio_weight = 0.05, .ramp_steps = 0, .seed = 11});
  ASSERT_TRUE(alone->SetCritic(policy_).ok());
  ASSERT_TRUE(both->SetCritic(policy_).ok());
  const auto endless = ConstantClassifier(kObs, kAct, std::numeric_limits<float>::infinity());
  both->SetClassifier(endless.get());
  EXPECT_EQ(Gradients(*both), Gradients(*alone));
  both->SetClassifier(classifier_.get());
  EXPECT_NE(Gradients(*both), Gradients(*alone));
}

TEST_F(UsefulModelTest, RampsFromNothing) {
  const auto objective = Make({.ratio_weight = 0.1, .ramp_steps = 4});
  objective->SetClassifier(classifier_.get());
  EXPECT_THAT(Gradients(*objective), ::testing::Each(0.0f));
  for (int i = 0; i < 3; ++i) Gradients(*objective);
  EXPECT_EQ(objective->ramp(), 1);
  EXPECT_NE(Gradients(*objective), std::vector<float>(kRows * kObs, 0));
}

TEST_F(UsefulModelTest, ARestartGoesOnWhereTheRampWas) {
  const UsefulModelOptions options{.value_weight = 0.1, .ratio_weight = 0.1, .ramp_steps = 6};
  const auto first = Make(options), second = Make(options), fresh = Make(options);
  for (UsefulModel* objective : {first.get(), second.get(), fresh.get()}) {
    ASSERT_TRUE(objective->SetCritic(policy_).ok());
    objective->SetClassifier(classifier_.get());
  }
  for (int i = 0; i < 3; ++i) Gradients(*first);
  nn::TensorFile state;
  first->SaveState(&state);
  ASSERT_TRUE(second->LoadState(state).ok());
  EXPECT_EQ(second->ramp(), 0.5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Gradients(*second), Gradients(*first)) << i;
  EXPECT_EQ(second->ramp(), 1);
  EXPECT_NE(Gradients(*fresh), Gradients(*first));
  EXPECT_FALSE(second->LoadState({}).ok());
}

/// f(s') = |s'|^2 / 2: its gradient is s', and its value is easy to move.
class Square : public dynamics::SampleObjective {
 public:
  bool active() const override { return true; }
  absl::Status Gradients(std::span<const float>, std::span<const float>,
                         std::span<const float> next, std::span<float> gradients) override {
    value = 0;
    for (size_t i = 0; i < next.size(); ++i) {
      gradients[i] = next[i];
      value += next[i] * next[i] / 2;
    }
    return absl::OkStatus();
  }
  double value = 0;
};

TEST(TrainingSamplesTest, CarriesGradientsBackThroughTheSampling) {
  dynamics::EnsembleMetadata meta;
  meta.obs_dim = kObs;
  meta.inputs = {{0.5f, -1, 0}, {2, 1, 1}};
  meta.targets = {{0.1f, 0.2f, 0}, {1.5f, 0.5f, 1}};
  const std::vector<float> inputs = Normals(kRows * (kObs + kAct), 1);
  nn::EnsemblePrediction prediction;
  prediction.means = Normals(kRows * (kObs + 1), 2);
  prediction.stds.assign(kRows * (kObs + 1), 0.7f);
  dynamics::TrainingSamples samples;
  Square square;
  const auto value = [&] {
    Rng rng(9);
    samples.Resize(kRows, kObs, kAct);
    samples.Draw(0, inputs, prediction, meta, rng);
    EXPECT_TRUE(samples.Ask(square).ok());
    return square.value / (kRows * (kObs + 1));  // the unit of the ensemble's loss
  };
  value();
  samples.CarryBack(kRows, meta);
  const std::vector<float> by_mean(samples.mean_gradients().begin(),
                                   samples.mean_gradients().end());
  const std::vector<float> by_log_var(samples.log_var_gradients().begin(),
                                      samples.log_var_gradients().end());
  constexpr double kStep = 1e-2;
  for (size_t i = 0; i < by_mean.size(); ++i) {
    const auto slope = [&](float* x, float high, float low) {
      const float kept = std::exchange(*x, high);
      const double up = value();
      *x = low;
      const double down = value();
      *x = kept;
      return (up - down) / (2 * kStep);
    };
    float& m = prediction.means[i];
    EXPECT_NEAR(by_mean[i], slope(&m, m + kStep, m - kStep), 2e-3) << i;
    float& s = prediction.stds[i];
    EXPECT_NEAR(by_log_var[i],
                slope(&s, s * static_cast<float>(std::exp(kStep / 2)),
                      s * static_cast<float>(std::exp(-kStep / 2))),
                2e-3)
        << i;
  }
}

/// Wants s' as large as possible in its first element.
class Upwards : public dynamics::SampleObjective {
 public:
  bool active() const override { return true; }
  absl::Status Gradients(std::span<const float>, std::span<const float>, std::span<const float>,
                         std::span<float> gradients) override {
    for (size_t i = 0; i < gradients.size(); ++i) gradients[i] = i % kObs == 0 ? -0.5f : 0.0f;
    return absl::OkStatus();
  }
};

TEST(SampleObjectiveTest, MovesWhatAModelPredicts) {
  const TransitionBatch train = Transitions(2000, 1);
  Upwards upwards;
  std::vector<double> means;
  for (dynamics::SampleObjective* objective : {static_cast<dynamics::SampleObjective*>(nullptr),
                                               static_cast<dynamics::SampleObjective*>(&upwards)}) {
    auto learner = dynamics::EnsembleLearner::Create(Spec(), SmallModel());
    ASSERT_TRUE(learner.ok());
    ASSERT_TRUE((*learner)->SetSampleObjective(objective).ok());
    ASSERT_TRUE((*learner)->Fit(train, {}, {}).ok());
    auto model = dynamics::LoadDynamicsModel((*learner)->ExportModel(), Spec(), "cpu");
    ASSERT_TRUE(model.ok());
    dynamics::MemberPrediction prediction;
    ASSERT_TRUE((*model)->Predict(0, train.observations, train.actions, &prediction).ok());
    double mean = 0;
    for (int64_t i = 0; i < train.size(); ++i) {
      mean += (prediction.next_means[i * kObs] - train.next_observations[i * kObs]) /
              static_cast<double>(train.size());
    }
    means.push_back(mean);
  }
  EXPECT_NEAR(means[0], 0, 0.05);
  EXPECT_GT(means[1], means[0] + 0.02);
}

}  // namespace
}  // namespace tandem::objective
