#include "services/monitor/core/gap_survey.h"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/bias_survey.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;

constexpr double kUpdatesPerStep = 10;
constexpr double kPerUpdate = 1e-3;  // by which a step's action, and so its reward, grows

/// A world that goes up by 1 and pays its action, and is its own model. Predictions from
/// `lost_from` on are not finite.
class PayingWorld : public testing::FakeModel {
 public:
  explicit PayingWorld(double lost_from = 1e9) : FakeModel({}), lost_from_(lost_from) {}
  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng& rng,
                    dynamics::ModelStep* step) override {
    TANDEM_RETURN_IF_ERROR(FakeModel::Step(observations, actions, rng, step));
    for (size_t i = 0; i < actions.size(); ++i) {
      step->rewards[i] = actions[i];
      if (observations[i] >= lost_from_) step->next_observations[i] = NAN;
    }
    return absl::OkStatus();
  }

 private:
  const double lost_from_;
};

/// Always takes the same action.
class Constant : public policy::Policy {
 public:
  explicit Constant(double action) : action_(static_cast<float>(action)) {}
  absl::Status Act(std::span<const float>, Rng*, std::span<float> actions,
                   std::span<float>) override {
    std::fill(actions.begin(), actions.end(), action_);
    return absl::OkStatus();
  }

 private:
  const float action_;
};

/// A policy that learns while it plays: one round of updates after each step.
absl::StatusOr<policy::LoadedPolicy> LoadLearning(const nn::TensorFile& file,
                                                  const EnvironmentSpec& spec) {
  TANDEM_ASSIGN_OR_RETURN(policy::LoadedPolicy loaded, testing::LoadFakePolicy(file, spec));
  loaded.policy =
      std::make_shared<Constant>(kPerUpdate * static_cast<double>(loaded.policy_updates));
  return loaded;
}

class GapSurveyTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSteps = 200;

  GapSurveyTest() {
    for (int64_t t = 0; t < kSteps; ++t) {
      EXPECT_TRUE(store_.Publish(testing::PolicyFile(UpdatesAt(t))).ok());
      EXPECT_TRUE(policies_.Poll(testing::WorldSpec(kSteps)).ok());
    }
    material_.model.model = std::make_shared<PayingWorld>();
    material_.policy = *policies_.newest();
    material_.policies = &policies_;
    material_.fresh = testing::WorldSteps(kSteps);
    for (int64_t t = 0; t < kSteps; ++t) {
      material_.fresh.policy_versions[t] = t + 1;
      material_.fresh.rewards[t] = static_cast<float>(RewardAt(t));
    }
    material_.world.return_scale = 10;
    material_.episode_length = kSteps;
    material_.max_episode_steps = kSteps;
    options_.updates_tolerance = 50;
  }

  static int64_t UpdatesAt(int64_t t) { return static_cast<int64_t>(kUpdatesPerStep) * t; }
  static double RewardAt(int64_t t) { return kPerUpdate * static_cast<double>(UpdatesAt(t)); }

  /// An episode of all the steps.
  Episode WholeEpisode() const {
    Episode episode = testing::TrainingEpisode(0);
    episode.length = kSteps;
    for (int64_t t = 0; t < kSteps; ++t) episode.episode_return += RewardAt(t);
    for (int64_t t = 0; t < kSteps; t += 4) {
      episode.policies.push_back(
          {t, static_cast<uint64_t>(t + 1), static_cast<uint64_t>(UpdatesAt(t))});
    }
    episode.policy_version = kSteps;
    episode.policy_updates = static_cast<uint64_t>(UpdatesAt(kSteps - 1));
    return episode;
  }

  snapshot::SnapshotStore store_{snapshot::kPolicySeries, 1};
  PolicyHistory policies_{&store_, LoadLearning, static_cast<size_t>(kSteps), 0};
  Material material_;
  SurveyOptions options_;
  Checkpoint checkpoint_;
  Rng rng_{1};
};

TEST_F(GapSurveyTest, AnExactModelHasNoGapThoughThePolicyLearnsWhileItPlays) {
  ASSERT_TRUE(FillBranchedGaps(material_, options_, rng_, &checkpoint_).ok());
  EXPECT_NEAR(checkpoint_.gap_5, 0, 1e-5);
  EXPECT_NEAR(checkpoint_.gap_25, 0, 1e-5);
  EXPECT_NEAR(checkpoint_.gap_100, 0, 1e-5);
  material_.episodes = {WholeEpisode()};
  ASSERT_TRUE(FillPairedGap(material_, options_, rng_, &checkpoint_).ok());
  // The episode names every fourth policy: 1.5 rounds of learning are missing, of 200 steps.
  EXPECT_NEAR(checkpoint_.real_return, 199, 1e-4);
  EXPECT_NEAR(checkpoint_.model_return, 199 - 1.5 * kSteps * kPerUpdate * kUpdatesPerStep, 1e-3);
  // Its last policy alone would earn twice as much.
  EXPECT_LT(std::abs(checkpoint_.gap_episode), 0.31);
}

TEST_F(GapSurveyTest, AnEpisodeThatTwoPoliciesPlayedIsPlayedByBoth) {
  Episode early = testing::TrainingEpisode(0);
  early.length = kSteps;
  early.policy_version = 151;
  early.policy_updates = static_cast<uint64_t>(UpdatesAt(150));
  early.policies = {{0, 51, static_cast<uint64_t>(UpdatesAt(50))},
                    {120, 151, static_cast<uint64_t>(UpdatesAt(150))}};
  early.episode_return = 120 * RewardAt(50) + 80 * RewardAt(150);
  Episode late = testing::TrainingEpisode(kSteps * RewardAt(150));
  late.length = kSteps;
  late.policy_version = 151;
  late.policy_updates = static_cast<uint64_t>(UpdatesAt(150));
  PairOutcome outcome = PairOutcome::kTooLong;
  const std::vector<Episode> episodes = {early, late};
  const auto paired = PairReturns(material_.model, policies_, episodes, kSteps, options_, rng_,
                                  material_.cancelled, &outcome);
  ASSERT_TRUE(paired.ok()) << paired.status();
  EXPECT_EQ(outcome, PairOutcome::kCompared);
  ASSERT_EQ(paired->model.size(), 2u);
  EXPECT_EQ(paired->real[0], early.episode_return);
  EXPECT_NEAR(paired->model[0], early.episode_return, 1e-3);
  EXPECT_NEAR(paired->model[1], late.episode_return, 1e-3);
}

TEST_F(GapSurveyTest, WindowsOfAPolicyThatIsNotHeldDoNotCount) {
  // As after a restart of the monitor: it never saw the policies of the first half.
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory late(&store, LoadLearning, static_cast<size_t>(kSteps), 0);
  for (int64_t t = 0; t < kSteps; ++t) {
    ASSERT_TRUE(store.Publish(testing::PolicyFile(UpdatesAt(t))).ok());
    if (t < kSteps / 2) continue;
    ASSERT_TRUE(late.Poll(testing::WorldSpec(kSteps)).ok());
  }
  material_.policies = &late;
  ASSERT_TRUE(FillBranchedGaps(material_, options_, rng_, &checkpoint_).ok());
  EXPECT_NEAR(checkpoint_.gap_5, 0, 1e-5);
  EXPECT_NEAR(checkpoint_.gap_100, 0, 1e-5);
  material_.episodes = {WholeEpisode()};
  ASSERT_TRUE(FillPairedGap(material_, options_, rng_, &checkpoint_).ok());
  EXPECT_TRUE(std::isnan(checkpoint_.gap_episode)) << "its first policies are gone";
}

TEST_F(GapSurveyTest, ARolloutThatIsNotFiniteMakesItsGapUnknown) {
  material_.model.model = std::make_shared<PayingWorld>(/*lost_from=*/150);
  material_.episodes = {WholeEpisode(), WholeEpisode()};
  ASSERT_TRUE(FillBranchedGaps(material_, options_, rng_, &checkpoint_).ok());
  ASSERT_TRUE(FillPairedGap(material_, options_, rng_, &checkpoint_).ok());
  EXPECT_TRUE(std::isnan(checkpoint_.gap_5));
  EXPECT_TRUE(std::isnan(checkpoint_.gap_25));
  EXPECT_TRUE(std::isnan(checkpoint_.gap_100));
  EXPECT_TRUE(std::isnan(checkpoint_.gap_episode)) << "and not the 150 steps before";
  EXPECT_TRUE(std::isnan(checkpoint_.gap_episode_1));
  EXPECT_TRUE(std::isnan(checkpoint_.model_return));
}

TEST_F(GapSurveyTest, StepsWhoseBiasIsNotFiniteAreCountedInTheShareThatVoidsTheIndex) {
  material_.model.model = std::make_shared<PayingWorld>(/*lost_from=*/190);
  material_.policy.policy.critic = std::make_shared<testing::FakeCritic>(0, 0.1);
  TransitionScorer scorer(1, 1, 1);
  const auto predictions =
      PredictElites(*material_.model.model, material_.fresh.observations, material_.fresh.actions);
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  BiasCounts counts;
  ASSERT_TRUE(FillBias(material_, options_, material_.fresh, *predictions, {}, scorer, &checkpoint_,
                       &counts)
                  .ok());
  EXPECT_TRUE(std::isfinite(checkpoint_.index)) << "of what survived";
  EXPECT_EQ(checkpoint_.scored_steps, 190);
  EXPECT_NEAR(checkpoint_.clipped_share, 0.05, 1e-9);
  EXPECT_EQ(counts.nonfinite, 10);
}

}  // namespace
}  // namespace tandem::monitor
