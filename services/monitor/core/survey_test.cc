#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/occupancy_survey.h"
#include "services/monitor/core/prediction_survey.h"
#include "services/monitor/core/surveyor.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;

/// Members that are off by a fixed amount each, and honest or not about their spread, in a world
/// where the observation goes up by 1 and a standard normal.
class SpreadModel : public dynamics::DynamicsModel {
 public:
  SpreadModel(std::vector<double> offsets, double sd) : offsets_(std::move(offsets)), sd_(sd) {
    for (size_t i = 0; i < offsets_.size(); ++i) elites_.push_back(static_cast<int>(i));
  }
  int64_t obs_dim() const override { return 1; }
  int64_t action_dim() const override { return 1; }
  const std::vector<int>& elites() const override { return elites_; }
  absl::Status Step(std::span<const float> observations, std::span<const float>, Rng& rng,
                    dynamics::ModelStep* step) override {
    step->next_observations.assign(observations.begin(), observations.end());
    for (float& x : step->next_observations) x += static_cast<float>(1 + sd_ * rng.Normal());
    step->rewards.assign(observations.size(), static_cast<float>(offsets_[0]));
    step->terminated.assign(observations.size(), 0);
    return absl::OkStatus();
  }
  absl::Status Predict(int member, std::span<const float> observations, std::span<const float>,
                       dynamics::MemberPrediction* out) override {
    const size_t rows = observations.size();
    out->next_means.assign(observations.begin(), observations.end());
    for (float& x : out->next_means) x += static_cast<float>(1 + offsets_[member]);
    out->next_stds.assign(rows, static_cast<float>(sd_));
    out->reward_means.assign(rows, static_cast<float>(offsets_[member]));
    out->reward_stds.assign(rows, 1);
    out->termination_probs.assign(rows, 0);
    return absl::OkStatus();
  }

 private:
  const std::vector<double> offsets_;
  const double sd_;
  std::vector<int> elites_;
};

/// Acts by a Gaussian with this mean and deviation before tanh, everywhere.
class GaussianPolicy : public policy::Policy {
 public:
  GaussianPolicy(float mean, float log_std) : mean_(mean), log_std_(log_std) {}
  absl::Status Act(std::span<const float>, Rng* rng, std::span<float> actions,
                   std::span<float>) override {
    for (float& a : actions) {
      const double noise = rng == nullptr ? 0 : rng->Normal();
      a = static_cast<float>(std::tanh(mean_ + std::exp(log_std_) * noise));
    }
    return absl::OkStatus();
  }
  absl::Status Distribution(std::span<const float>, std::span<float> means,
                            std::span<float> log_stds) override {
    std::fill(means.begin(), means.end(), mean_);
    std::fill(log_stds.begin(), log_stds.end(), log_std_);
    return absl::OkStatus();
  }

 private:
  const float mean_;
  const float log_std_;
};

/// A walk of `count` steps, +1 and a standard normal each.
TransitionBatch Walk(int64_t count, uint64_t seed) {
  TransitionBatch steps = testing::WorldSteps(count);
  Rng rng(seed);
  for (int64_t i = 0; i < count; ++i) {
    steps.next_observations[i] = steps.observations[i] + static_cast<float>(1 + rng.Normal());
    if (i + 1 < count) steps.observations[i + 1] = steps.next_observations[i];
  }
  return steps;
}

HeldPolicy Held(float mean, float log_std) {
  HeldPolicy held;
  held.policy.policy = std::make_shared<GaussianPolicy>(mean, log_std);
  held.policy.critic = std::make_shared<testing::FakeCritic>(0, 0);
  return held;
}

TEST(PredictionSurveyTest, AnHonestModelIsCalibratedAndATooSureOneIsNot) {
  const TransitionBatch rows = Walk(4000, 1);
  const std::vector<double> sds = {1, 0};  // the reward never varies: left out
  SpreadModel honest({0}, 1);
  auto predictions = PredictElites(honest, rows.observations, rows.actions);
  ASSERT_TRUE(predictions.ok());
  PredictionQuality quality = JudgePredictions(*predictions, rows, sds);
  EXPECT_NEAR(quality.rmse, 1, 0.03);
  EXPECT_NEAR(quality.nll, 0.5 * std::log(2 * M_PI) + 0.5, 0.03);  // entropy of a normal
  EXPECT_NEAR(quality.crps, 1 / std::sqrt(M_PI), 0.02);            // closed form
  EXPECT_NEAR(quality.coverage, 0.9, 0.02);
  EXPECT_LT(quality.calibration, 1e-3);

  SpreadModel sure({0}, 0.3);
  predictions = PredictElites(sure, rows.observations, rows.actions);
  ASSERT_TRUE(predictions.ok());
  quality = JudgePredictions(*predictions, rows, sds);
  EXPECT_NEAR(quality.coverage, 0.38, 0.03);  // 2 Phi(.3 * 1.645) - 1
  EXPECT_GT(quality.calibration, 0.02);
  EXPECT_GT(quality.nll, 3);
}

TEST(PredictionSurveyTest, AnOutputWithoutSpreadHasErrorsAlone) {
  TransitionBatch rows = Walk(500, 1);
  rows.rewards.assign(500, 3);
  SpreadModel honest({0}, 1);  // says 0 for each reward
  auto predictions = PredictElites(honest, rows.observations, rows.actions);
  ASSERT_TRUE(predictions.ok());
  const PredictionQuality without = JudgePredictions(*predictions, rows, std::vector<double>{1, 0});
  (*predictions)[0].reward_stds.assign(500, 0);
  const PredictionQuality with = JudgePredictions(*predictions, rows, std::vector<double>{1, 1});
  EXPECT_EQ(with.nll, without.nll);
  EXPECT_EQ(with.calibration, without.calibration);
  EXPECT_EQ(with.coverage, without.coverage);
  EXPECT_NEAR(with.crps, (without.crps + 3) / 2, 1e-9);
  EXPECT_NEAR(with.rmse, std::sqrt((without.rmse * without.rmse + 9) / 2), 1e-9);
}

TEST(PredictionSurveyTest, DisagreementIsTheSpreadOfTheMembers) {
  const TransitionBatch rows = Walk(50, 1);
  SpreadModel apart({-1, 1}, 1);
  const auto predictions = PredictElites(apart, rows.observations, rows.actions);
  ASSERT_TRUE(predictions.ok());
  // Standard deviation 1 of the observation over 2, of the reward over 4: rms of .5 and .25.
  EXPECT_NEAR(Disagreements(*predictions, 1, std::vector<double>{2, 4})[7],
              std::sqrt((0.25 + 0.0625) / 2), 1e-5);
  EXPECT_TRUE(std::isnan(Disagreements(*predictions, 1, std::vector<double>{0, 0})[7]));
  EXPECT_NEAR(MeanRewards(*predictions)[3], 0, 1e-9);
}

TEST(PredictionSurveyTest, NothingToJudgeIsNotKnown) {
  const PredictionQuality quality = JudgePredictions({}, {}, {});
  EXPECT_TRUE(std::isnan(quality.nll));
  EXPECT_TRUE(std::isnan(quality.rmse));
  EXPECT_TRUE(std::isnan(quality.coverage));
  EXPECT_TRUE(quality.errors.empty());
}

/// Material from a walk.
Material MaterialOf(std::shared_ptr<dynamics::DynamicsModel> model, const PolicyHistory* policies) {
  Material material;
  material.model.model = std::move(model);
  material.policy = Held(0.3f, -0.5f);
  material.at_fit = Held(-0.2f, 0.25f);
  material.policies = policies;
  material.fresh = Walk(400, 2);
  Rng rng(4);  // the actor acted by the newest policy
  EXPECT_TRUE(material.policy.policy.policy
                  ->Act(material.fresh.observations, &rng, material.fresh.actions, {})
                  .ok());
  material.heldout = Walk(100, 3);
  material.world = {.output_sds = {1, 0}, .state_sds = {100, 0}, .return_scale = 10};
  material.episode_length = 400;
  return material;
}

TEST(OccupancySurveyTest, AnExactModelLeadsWhereTheWorldGoes) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  const PolicyHistory policies(&store, testing::LoadFakePolicy, 2, 0);
  const Material material =
      MaterialOf(std::make_shared<SpreadModel>(std::vector<double>{0}, 1.0), &policies);
  Checkpoint checkpoint;
  Rng rng(1);
  ASSERT_TRUE(FillOccupancy(material, {}, rng, &checkpoint).ok());
  EXPECT_NEAR(checkpoint.c2st_auc, 0.5, 0.1);
  EXPECT_LT(checkpoint.mmd, 1.5);
  EXPECT_GT(checkpoint.effective_sample_share, 0.8);
  EXPECT_NEAR(checkpoint.policy_shift, 0.43738141, 1e-5);  // by numerical integration, numpy
  EXPECT_TRUE(std::isnan(checkpoint.reward_range));        // every reward is 0
}

TEST(OccupancySurveyTest, AModelThatLeadsElsewhereIsToldApart) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  const PolicyHistory policies(&store, testing::LoadFakePolicy, 2, 0);
  const Material material =
      MaterialOf(std::make_shared<SpreadModel>(std::vector<double>{0}, 300.0), &policies);
  Checkpoint checkpoint;
  Rng rng(1);
  ASSERT_TRUE(FillOccupancy(material, {}, rng, &checkpoint).ok());
  EXPECT_GT(checkpoint.c2st_auc, 0.7);
  EXPECT_GT(checkpoint.mmd, 1);
  EXPECT_LT(checkpoint.effective_sample_share, 0.8);
}

TEST(SurveyorTest, TheSameMaterialGivesTheSameFigures) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory policies(&store, testing::LoadFakePolicy, 2, 0);
  ASSERT_TRUE(store.Publish(testing::PolicyFile(100)).ok());
  ASSERT_TRUE(policies.Poll(testing::WorldSpec(50)).ok());
  const Material material =
      MaterialOf(std::make_shared<SpreadModel>(std::vector<double>{-0.1, 0.1}, 1.0), &policies);
  Checkpoint checkpoints[2];
  for (Checkpoint& checkpoint : checkpoints) {
    Surveyor surveyor({}, 7);
    BiasCounts counts;
    checkpoint = surveyor.Survey(
        material, 400,
        [](const absl::Status& status, const char* what) { EXPECT_TRUE(status.ok()) << what; },
        &counts);
  }
  int known = 0;
  for (const coadaptation::CheckpointField& field : coadaptation::CheckpointFields()) {
    const double value = checkpoints[0].*field.member;
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(checkpoints[1].*field.member)) << field.name;
    } else {
      EXPECT_EQ(value, checkpoints[1].*field.member) << field.name;
      ++known;
    }
  }
  EXPECT_GE(known, 40);
}

TEST(SurveyorTest, FiguresOverTimeNeedEnoughCheckpoints) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory policies(&store, testing::LoadFakePolicy, 2, 0);
  SurveyOptions options;
  options.imagined_rows = 64;
  options.kernel_rows = 32;
  Surveyor surveyor(options, 7);
  Checkpoint checkpoint;
  for (int i = 1; i <= 8; ++i) {
    ASSERT_TRUE(store.Publish(testing::PolicyFile(1000 * i)).ok());
    ASSERT_TRUE(policies.Poll(testing::WorldSpec(50)).ok());
    Material material =
        MaterialOf(std::make_shared<SpreadModel>(std::vector<double>{0.01 * i}, 1.0), &policies);
    material.policy.policy.policy_updates = 1000 * i;
    material.max_episode_steps = 50;
    Episode episode = testing::TrainingEpisode(i);
    episode.policy_updates = 1000 * i;
    material.episodes = {episode};
    BiasCounts counts;
    checkpoint = surveyor.Survey(
        material, 100 * i, [](const absl::Status&, const char*) {}, &counts);
    EXPECT_EQ(std::isnan(checkpoint.rank_correlation), i < 8);
    EXPECT_EQ(std::isnan(checkpoint.update_to_data), i < 2);
  }
  EXPECT_NEAR(checkpoint.rank_correlation, 1, 1e-9);
  EXPECT_TRUE(std::isnan(checkpoint.error_per_nat));  // the shift was the same each time
  EXPECT_EQ(checkpoint.update_to_data, 10);
}

}  // namespace
}  // namespace tandem::monitor
