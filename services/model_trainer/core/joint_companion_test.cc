#include "services/model_trainer/core/joint_companion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "common/policy/sac_learner.h"
#include "common/snapshot/snapshot_store.h"

namespace tandem::model_trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

EnvironmentSpec Spec() {
  return {.name = "test",
          .observation = {.low = {-1}, .high = {1}},
          .action = {.low = {-1}, .high = {1}}};
}

/// A world whose next observation is the last one plus a tenth of the action and some noise.
TransitionBatch Rows(int64_t count, uint64_t seed) {
  TransitionBatch rows{.obs_dim = 1, .action_dim = 1};
  Rng rng(seed, "rows");
  for (int64_t i = 0; i < count; ++i) {
    const auto s = static_cast<float>(rng.Uniform(-1, 1));
    const auto a = static_cast<float>(rng.Uniform(-1, 1));
    rows.observations.push_back(s);
    rows.actions.push_back(a);
    rows.next_observations.push_back(s + 0.1f * a + static_cast<float>(0.05 * rng.Normal()));
    rows.rewards.push_back(static_cast<float>(i % 7) - 2);
    rows.terminated.push_back(0);
  }
  return rows;
}

std::unique_ptr<dynamics::EnsembleLearner> Learner() {
  auto learner =
      dynamics::EnsembleLearner::Create(Spec(), {.members = 2,
                                                 .elites = 1,
                                                 .hidden = {8},
                                                 .batch_size = 32,
                                                 .max_gradient_steps = 40,
                                                 .termination = dynamics::TerminationKind::kNever});
  EXPECT_TRUE(learner.ok()) << learner.status();
  return *std::move(learner);
}

JointCompanionOptions Small() {
  JointCompanionOptions options;
  options.classifier.hidden = {8};
  options.classifier.first_steps = 60;
  options.classifier.fit_steps = 20;
  return options;
}

nn::TensorFile Policy(int64_t updates) {
  const auto sac = policy::SacLearner::Create(Spec(), {.hidden = {8}});
  EXPECT_TRUE(sac.ok()) << sac.status();
  nn::TensorFile file = (*sac)->ExportPolicy();
  file.metadata[snapshot::kPolicyUpdatesKey] = absl::StrCat(updates);
  return file;
}

std::string Bytes(const nn::TensorFile& file) {
  const auto bytes = nn::WriteSafetensors(file);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

class JointCompanionTest : public testing::Test {
 protected:
  std::unique_ptr<Companion> Make(const JointCompanionOptions& options) {
    auto made = JointCompanion::Create(Spec(), options, &policies_, registry_, *Clock::Real());
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  absl::Status Fit(Companion& companion, dynamics::EnsembleLearner& learner, const Grant& grant) {
    absl::Status prepared = companion.Prepare(grant, learner);
    if (!prepared.ok()) return prepared;
    const auto report = learner.Fit(train_, holdout_, {});
    if (!report.ok()) return report.status();
    return companion.Fit(learner, train_, holdout_, {});
  }
  static nn::TensorFile Exported(const Companion& companion) {
    nn::TensorFile file;
    companion.Export(&file);
    return file;
  }
  /// The model after one fit beside such a companion.
  std::string ModelAfter(const JointCompanionOptions& options, int64_t policy_updates) {
    const auto companion = Make(options);
    const auto learner = Learner();
    EXPECT_TRUE(Fit(*companion, *learner, {.policy_updates = policy_updates}).ok());
    return Bytes(learner->ExportModel());
  }

  const TransitionBatch train_ = Rows(300, 1), holdout_ = Rows(60, 2);
  snapshot::SnapshotStore policies_{snapshot::kPolicySeries, 1};
  metrics::Registry registry_;
};

TEST_F(JointCompanionTest, TheClassifierGoesOutWithTheModelAndTheSmallestReward) {
  const auto companion = Make(Small());
  const auto learner = Learner();
  ASSERT_TRUE(Fit(*companion, *learner, {}).ok());
  nn::TensorFile snapshot = learner->ExportModel();
  companion->Export(&snapshot);
  ASSERT_TRUE(objective::TransitionClassifier::IsIn(snapshot));
  const auto loaded = objective::TransitionClassifier::Load(snapshot, Spec(), "cpu");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(snapshot.metadata.at(snapshot::kSmallestRewardKey), "-2");
  const std::string page = registry_.Page();
  EXPECT_THAT(page, HasSubstr("tandem_model_trainer_classifier_fit_seconds_count 1"));
  EXPECT_THAT(page, HasSubstr("tandem_model_trainer_critic_updates Nan"));
}

TEST_F(JointCompanionTest, ARestartGoesOnBitForBit) {
  const auto companion = Make(Small());
  const auto learner = Learner();
  ASSERT_TRUE(Fit(*companion, *learner, {}).ok());
  nn::TensorFile state = learner->SaveState();
  companion->Save(&state);

  const auto restored = Make(Small());
  const auto restored_learner = Learner();
  ASSERT_TRUE(restored_learner->LoadState(state).ok());
  ASSERT_TRUE(restored->Load(state).ok());
  EXPECT_TRUE(Exported(*restored).tensors.at("classifier.w0").data ==
              Exported(*companion).tensors.at("classifier.w0").data);
  ASSERT_TRUE(Fit(*companion, *learner, {}).ok());
  ASSERT_TRUE(Fit(*restored, *restored_learner, {}).ok());
  EXPECT_EQ(Bytes(Exported(*restored)), Bytes(Exported(*companion)));

  EXPECT_FALSE(Make(Small())->Load(learner->SaveState()).ok());  // a state without a classifier
}

TEST_F(JointCompanionTest, WithoutWeightsTheModelIsThatOfTheLikelihood) {
  const auto alone = Learner();
  ASSERT_TRUE(alone->Fit(train_, holdout_, {}).ok());
  EXPECT_EQ(ModelAfter(Small(), -1), Bytes(alone->ExportModel()));
}

TEST_F(JointCompanionTest, AMissingCriticLeavesTheLikelihoodAndAnUntrainedOneIsMissing) {
  JointCompanionOptions options = Small();
  options.model_loss = {.value_weight = 0.1, .ramp_steps = 0};
  const std::string alone = ModelAfter(Small(), -1);
  EXPECT_EQ(ModelAfter(options, 0), alone);
  ASSERT_TRUE(policies_.Publish(Policy(0)).ok());
  EXPECT_EQ(ModelAfter(options, 0), alone);
  ASSERT_TRUE(policies_.Publish(Policy(5)).ok());
  EXPECT_NE(ModelAfter(options, 5), alone);
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_model_trainer_critic_updates 5"));
}

TEST_F(JointCompanionTest, InLockstepItWaitsForTheCriticThatPrecedesTheFit) {
  JointCompanionOptions options = Small();
  options.model_loss = {.value_weight = 0.1, .ramp_steps = 0};
  ASSERT_TRUE(policies_.Publish(Policy(5)).ok());
  std::thread later([this] {
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_TRUE(policies_.Publish(Policy(10)).ok());
  });
  ModelAfter(options, 10);
  later.join();
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_model_trainer_critic_updates 10"));
}

TEST_F(JointCompanionTest, WithoutHeldOutStepsItsFiguresAreNotKnown) {
  const auto companion = Make(Small());
  const auto learner = Learner();
  ASSERT_TRUE(Fit(*companion, *learner, {}).ok());
  EXPECT_THAT(registry_.Page(),
              Not(HasSubstr("tandem_model_trainer_classifier_accuracy_ratio Nan")));
  ASSERT_TRUE(companion->Fit(*learner, train_, {}, {}).ok());
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_model_trainer_classifier_accuracy_ratio Nan"));
  EXPECT_THAT(registry_.Page(),
              HasSubstr("tandem_model_trainer_classifier_logit_nats{of=\"model\"} Nan"));
}

TEST_F(JointCompanionTest, AtTheDeadlineItTakesTheNewestCriticThereIs) {
  JointCompanionOptions options = Small();
  options.model_loss = {.value_weight = 0.1, .ramp_steps = 0};
  const std::string alone = ModelAfter(Small(), -1);
  ASSERT_TRUE(policies_.Publish(Policy(5)).ok());
  policies_.Stop();  // ends the wait as the deadline does
  EXPECT_NE(ModelAfter(options, 10), alone);
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_model_trainer_critic_updates 5"));
}

TEST_F(JointCompanionTest, TheRatioTermHasTheLastFitsClassifierAndOutlivesARestart) {
  JointCompanionOptions options = Small();
  options.model_loss = {.ratio_weight = 0.1, .ramp_steps = 0};
  const auto with = Make(options), without = Make(Small());
  const auto learner = Learner(), plain = Learner();
  ASSERT_TRUE(Fit(*with, *learner, {}).ok());
  ASSERT_TRUE(Fit(*without, *plain, {}).ok());
  EXPECT_EQ(Bytes(learner->ExportModel()), Bytes(plain->ExportModel()));  // there was none yet
  nn::TensorFile state = learner->SaveState();
  with->Save(&state);
  ASSERT_TRUE(Fit(*with, *learner, {}).ok());
  ASSERT_TRUE(Fit(*without, *plain, {}).ok());
  EXPECT_NE(Bytes(learner->ExportModel()), Bytes(plain->ExportModel()));

  const auto restored = Make(options);
  const auto restored_learner = Learner();
  ASSERT_TRUE(restored_learner->LoadState(state).ok());
  ASSERT_TRUE(restored->Load(state).ok());
  ASSERT_TRUE(Fit(*restored, *restored_learner, {}).ok());
  EXPECT_EQ(Bytes(restored_learner->ExportModel()), Bytes(learner->ExportModel()));
}

TEST_F(JointCompanionTest, RefusesAValueTermWithoutPolicies) {
  JointCompanionOptions options = Small();
  options.model_loss.value_weight = 0.1;
  EXPECT_TRUE(absl::IsInvalidArgument(
      JointCompanion::Create(Spec(), options, nullptr, registry_, *Clock::Real()).status()));
}

}  // namespace
}  // namespace tandem::model_trainer
