#include "services/monitor/core/snapshot_history.h"

#include <cmath>

#include <gtest/gtest.h>

#include "common/dynamics/ensemble_learner.h"
#include "common/policy/sac_learner.h"
#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

TEST(ModelHistoryTest, FindsTheNewestModelThatIsOlderThanAnEvaluation) {
  snapshot::SnapshotStore store(snapshot::kModelSeries, 1);
  ModelHistory history(&store, testing::LoadFakeModel, /*capacity=*/2);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  EXPECT_FALSE(*history.Poll(spec));
  EXPECT_EQ(history.newest(), nullptr);
  for (int64_t through : {100, 200, 300}) {
    ASSERT_TRUE(store.Publish(testing::ModelFile(through)).ok());
    EXPECT_TRUE(*history.Poll(spec));
    EXPECT_FALSE(*history.Poll(spec));
  }
  EXPECT_EQ(history.NewestBefore(301)->env_steps, 300);
  EXPECT_EQ(history.NewestBefore(300)->env_steps, 200);
  EXPECT_EQ(history.NewestBefore(200), nullptr);  // the first is held no longer
}

TEST(PolicyHistoryTest, FindsTheNearestPolicyAndInterpolatesUpdates) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory history(&store, testing::LoadFakePolicy, 8, /*spacing=*/0);
  EXPECT_TRUE(std::isnan(history.UpdatesAt(1)));
  EXPECT_EQ(history.Nearest(0), nullptr);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  ASSERT_TRUE(store.Publish(testing::PolicyFile(0)).ok());
  ASSERT_TRUE(*history.Poll(spec));
  for (int64_t updates : {10, 20, 90})
    ASSERT_TRUE(store.Publish(testing::PolicyFile(updates)).ok());
  ASSERT_TRUE(*history.Poll(spec));  // version 4; 2 and 3 were not seen
  EXPECT_NEAR(history.UpdatesAt(1), 0, 1e-9);
  EXPECT_NEAR(history.UpdatesAt(2), 30, 1e-9);
  EXPECT_NEAR(history.UpdatesAt(4), 90, 1e-9);
  EXPECT_NEAR(history.UpdatesAt(9), 90, 1e-9);
  EXPECT_EQ(history.Nearest(30)->policy.policy_updates, 0u);
  EXPECT_EQ(history.Nearest(60)->policy.policy_updates, 90u);
  PolicyHistory late(&store, testing::LoadFakePolicy, 8, /*spacing=*/0);
  ASSERT_TRUE(*late.Poll(spec));
  EXPECT_TRUE(std::isnan(late.UpdatesAt(3))) << "it was never seen";
}

TEST(PolicyHistoryTest, AVersionOfAnEpochBeforeIsNotTakenForOneOfTheNewest) {
  const EnvironmentSpec spec = testing::WorldSpec(10);
  snapshot::SnapshotStore first(snapshot::kPolicySeries, 7);
  snapshot::SnapshotStore second(snapshot::kPolicySeries, 8);
  testing::SwitchedSource source(&first);
  PolicyHistory history(&source, testing::LoadFakePolicy, 8, /*spacing=*/0);
  const auto tag = [](uint64_t epoch, uint64_t version) {
    return static_cast<int64_t>(snapshot::Version{epoch, version}.Tag());
  };
  for (int64_t updates : {10, 20, 5000}) {
    ASSERT_TRUE(first.Publish(testing::PolicyFile(updates)).ok());
    ASSERT_TRUE(*history.Poll(spec));
  }
  source.SwitchTo(&second);  // began again without what it had learned
  ASSERT_TRUE(second.Publish(testing::PolicyFile(30)).ok());
  ASSERT_TRUE(*history.Poll(spec));
  EXPECT_EQ(history.UpdatesAt(tag(7, 2)), 20);
  EXPECT_EQ(history.UpdatesAt(tag(7, 9)), 5000);
  EXPECT_EQ(history.UpdatesAt(tag(8, 1)), 30);
  EXPECT_EQ(history.UpdatesAt(3), 30) << "a version alone";
  EXPECT_TRUE(std::isnan(history.UpdatesAt(tag(6, 1))));
  const HeldPolicy& newest = *history.newest();
  EXPECT_EQ(history.LagBehind(newest, tag(7, 2)), 10);
  EXPECT_EQ(history.LagBehind(newest, tag(7, 3)), 4970) << "nothing is left of it";
  EXPECT_EQ(history.LagBehind(newest, tag(8, 4)), 0) << "newer than what was seen";
  EXPECT_TRUE(std::isnan(history.LagBehind(newest, tag(6, 1))));
}

TEST(PolicyHistoryTest, FewPoliciesSpanALongTime) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory history(&store, testing::LoadFakePolicy, 4, /*spacing=*/100);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  for (int64_t updates = 0; updates <= 330; updates += 10) {
    ASSERT_TRUE(store.Publish(testing::PolicyFile(updates)).ok());
    ASSERT_TRUE(*history.Poll(spec));
  }
  EXPECT_EQ(history.newest()->policy.policy_updates, 330u);
  EXPECT_EQ(history.Nearest(290)->policy.policy_updates, 300u);
  EXPECT_EQ(history.Nearest(0)->policy.policy_updates, 100u);
}

TEST(PolicyHistoryTest, WhereOneIsHeldItIsTheNewest) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory history(&store, testing::LoadFakePolicy, /*capacity=*/1, /*spacing=*/100);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  for (int64_t updates = 50; updates <= 3000; updates += 70) {
    ASSERT_TRUE(store.Publish(testing::PolicyFile(updates)).ok());
    ASSERT_TRUE(*history.Poll(spec));
    EXPECT_EQ(history.newest()->policy.policy_updates, static_cast<uint64_t>(updates));
    EXPECT_EQ(history.Nearest(0), history.newest()) << "no other is held";
  }
}

TEST(PolicyHistoryTest, OldPoliciesLieTheFurtherApartTheOlderTheyAre) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory history(&store, testing::LoadFakePolicy, 24, /*spacing=*/0);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  constexpr double kNewest = 10'000;
  for (int64_t updates = 0; updates <= kNewest; updates += 100) {
    ASSERT_TRUE(store.Publish(testing::PolicyFile(updates)).ok());
    ASSERT_TRUE(*history.Poll(spec));
  }
  for (double age = 0; age <= 5000; age += 50) {
    const double found = static_cast<double>(history.Nearest(kNewest - age)->policy.policy_updates);
    const double bound = age <= 1000 ? 50 : std::max(50.0, 0.25 * age);
    EXPECT_LE(std::abs(found - (kNewest - age)), bound) << age;
  }
}

TEST(PolicyHistoryTest, FindsTheOneThatTrainedInAModel) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory history(&store, testing::LoadFakePolicy, 4, 0);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  EXPECT_EQ(history.TrainedIn(1), nullptr);
  for (int64_t model : {3, 4}) {
    nn::TensorFile file = testing::PolicyFile(100 * model);
    file.metadata[snapshot::kModelVersionKey] = absl::StrCat(model);
    file.metadata[snapshot::kHorizonKey] = "7";
    ASSERT_TRUE(store.Publish(file).ok());
    ASSERT_TRUE(*history.Poll(spec));
  }
  EXPECT_EQ(history.TrainedIn(4)->policy.policy_updates, 400u);
  EXPECT_EQ(history.TrainedIn(3)->policy.policy_updates, 300u);
  EXPECT_EQ(history.TrainedIn(1)->policy.policy_updates, 400u);  // none: the newest
  EXPECT_EQ(history.newest()->horizon, 7);
  EXPECT_TRUE(std::isnan(history.newest()->real_share));
  ASSERT_TRUE(store.Publish(testing::PolicyFile(900)).ok());  // does not say
  ASSERT_TRUE(*history.Poll(spec));
  EXPECT_EQ(history.TrainedIn(3)->policy.policy_updates, 900u);
}

TEST(SnapshotHistoryTest, SnapshotsOfAnotherEnvironmentAreRefusedAndWhatIsHeldStays) {
  const EnvironmentSpec own = testing::WorldSpec(10);
  EnvironmentSpec other = own;
  other.name = "elsewhere";
  snapshot::SnapshotStore models(snapshot::kModelSeries, 1);
  snapshot::SnapshotStore policies(snapshot::kPolicySeries, 1);
  const auto publish = [&](const EnvironmentSpec& spec) {
    dynamics::EnsembleLearnerOptions ensemble;
    ensemble.members = ensemble.elites = 2;
    ensemble.hidden = {8};
    ensemble.termination = dynamics::TerminationKind::kNever;
    nn::TensorFile model = (*dynamics::EnsembleLearner::Create(spec, ensemble))->ExportModel();
    model.metadata.insert({{snapshot::kThroughIndexKey, "100"}, {snapshot::kEnvStepsKey, "100"}});
    ASSERT_TRUE(models.Publish(model).ok());
    policy::SacLearnerOptions sac;
    sac.hidden = {8, 8};
    ASSERT_TRUE(policies.Publish((*policy::SacLearner::Create(spec, sac))->ExportPolicy()).ok());
  };
  ModelHistory model_history(
      &models,
      [](const auto& file, const auto& spec) {
        return dynamics::LoadDynamicsModel(file, spec, "cpu");
      },
      2);
  PolicyHistory policy_history(
      &policies,
      [](const auto& file, const auto& spec) { return policy::LoadPolicy(file, spec, "cpu"); }, 2,
      /*spacing=*/0);
  publish(own);
  ASSERT_TRUE(*model_history.Poll(own));
  ASSERT_TRUE(*policy_history.Poll(own));
  publish(other);
  for (const absl::Status& status :
       {model_history.Poll(own).status(), policy_history.Poll(own).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("expected counter, got elsewhere"), std::string::npos)
        << status;
  }
  EXPECT_EQ(model_history.newest()->version.version, 1u);
  EXPECT_EQ(policy_history.newest()->version.version, 1u);
  EXPECT_FALSE(*model_history.Poll(own)) << "it is looked at once";
  EXPECT_FALSE(*policy_history.Poll(own));
}

}  // namespace
}  // namespace tandem::monitor
