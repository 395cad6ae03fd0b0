#include "services/monitor/core/joint_survey.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "common/metrics/registry.h"
#include "common/objective/testing/constant_classifier.h"
#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/monitor_metrics.h"
#include "services/monitor/core/surveyor.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;

constexpr double kDiscount = 0.5;
constexpr int kHorizon = 6;  // the first at which 0.5^t is below 2 %

/// Fresh steps of one episode that pays 3 a step, in a model that pays 2, whose classifier gives
/// each transition `logit`.
Material JointMaterial(float logit, const testing::Fault& fault = {.reward = 2}) {
  Material material;
  material.model.model = std::make_shared<testing::FakeModel>(fault);
  material.model.classifier = objective::ConstantClassifier(1, 1, logit);
  material.policy.policy.policy = std::make_shared<testing::FakePolicy>();
  material.policy.policy.critic = std::make_shared<testing::FakeCritic>(0, 0);
  material.policy.joint = objective::JointTerms{.discount = kDiscount, .weight = 0.3};
  material.fresh = testing::WorldSteps(50);
  std::fill(material.fresh.rewards.begin(), material.fresh.rewards.end(), 3.0f);
  material.policy.policy.discount = kDiscount;
  material.heldout = testing::WorldSteps(20);
  return material;
}

Checkpoint Surveyed(const Material& material) {
  Checkpoint checkpoint;
  Rng rng(1);
  const absl::Status status = FillJoint(material, {}, rng, &checkpoint);
  EXPECT_TRUE(status.ok()) << status;
  return checkpoint;
}

TEST(JointSurvey, TheBoundIsThatOfTheEquationOverAFiniteHorizon) {
  const Checkpoint checkpoint = Surveyed(JointMaterial(-0.25f));
  double weights = 0, prices = 0;  // each step's log-ratio counts with all rewards from it on
  for (int t = 0; t < kHorizon; ++t) {
    weights += std::pow(kDiscount, t);
    for (int k = t; k < kHorizon; ++k) prices += std::pow(kDiscount, k) * -0.25;
  }
  EXPECT_NEAR(checkpoint.joint_bound, std::log(weights * 2) + prices / weights, 1e-6);
  EXPECT_NEAR(checkpoint.joint_log_return, std::log(weights * 3), 1e-6);
  EXPECT_EQ(checkpoint.joint_horizon, kHorizon);
  EXPECT_EQ(checkpoint.ratio_weight, 0.3);
}

TEST(JointSurvey, AnExactModelWithoutAPriceMeetsTheReturn) {
  const Checkpoint checkpoint = Surveyed(JointMaterial(0, {.reward = 3}));
  EXPECT_NEAR(checkpoint.joint_bound, checkpoint.joint_log_return, 1e-6);
}

/// The bound is then on the return of exp(r / scale), which is never computed: exp(3000) overflows.
TEST(JointSurvey, TheBoundOfExponentialRewardsIsOnTheirReturn) {
  for (const double times : {1.0, 1000.0}) {
    Material material = JointMaterial(-0.25f, {.reward = static_cast<float>(2 * times)});
    for (float& r : material.fresh.rewards) r *= static_cast<float>(times);
    material.policy.joint->reward = {
        .transform = objective::RewardTransform::kExp, .scale = 0.5, .min_reward = 0};
    const Checkpoint checkpoint = Surveyed(material);
    double weights = 0, prices = 0;
    for (int t = 0; t < kHorizon; ++t) {
      weights += std::pow(kDiscount, t);
      for (int k = t; k < kHorizon; ++k) prices += std::pow(kDiscount, k) * -0.25;
    }
    const double log_weights = std::log(weights);
    EXPECT_NEAR(checkpoint.joint_bound, log_weights + 4 * times + prices / weights, 1e-6 * times);
    EXPECT_NEAR(checkpoint.joint_log_return, log_weights + 6 * times, 1e-6 * times);
  }
}

/// One step of 4 nats and five of 0: the sum of exponentials, not the exponential of the sum.
TEST(JointSurvey, AReturnOfExponentialsIsTheirSum) {
  Material material = JointMaterial(0);
  std::fill(material.fresh.rewards.begin(), material.fresh.rewards.end(), 0.0f);
  material.fresh.rewards[2] = 4;
  material.policy.joint->reward = {.transform = objective::RewardTransform::kExp, .min_reward = 0};
  double sum = 0;
  for (int t = 0; t < kHorizon; ++t) sum += std::pow(kDiscount, t) * (t == 2 ? std::exp(4.0) : 1);
  EXPECT_NEAR(Surveyed(material).joint_log_return, std::log(sum), 1e-6);
}

/// `lengths[i]` steps of episode i, one after the other, that pay 2; the first one terminates.
TransitionBatch Episodes(const std::vector<int64_t>& lengths) {
  TransitionBatch rows;
  rows.obs_dim = rows.action_dim = 1;
  for (size_t i = 0; i < lengths.size(); ++i) {
    TransitionBatch episode = testing::WorldSteps(lengths[i]);
    episode.episodes.assign(lengths[i], static_cast<int64_t>(i));
    for (int64_t& index : episode.indices) index += rows.size();
    episode.rewards.assign(lengths[i], 2);
    if (i == 0) episode.terminated.back() = 1;
    rows.Append(episode);
  }
  return rows;
}

TEST(JointSurvey, AnEarlyEndCountsOnlyWhereALateOneWouldHaveBeenSeen) {
  Material material = JointMaterial(0);
  material.fresh = Episodes({1, kHorizon - 2});
  EXPECT_LT(Surveyed(material).joint_horizon, kHorizon);
  material.fresh = Episodes({1, kHorizon - 1});
  EXPECT_EQ(Surveyed(material).joint_horizon, kHorizon);
  // Two environments side by side: the same steps are half as many for each.
  for (int64_t i = 0; i < kHorizon - 1; ++i) {
    material.fresh.indices[i + 1] = 2 * i;
    material.fresh.Append(testing::WorldSteps(1));
    material.fresh.episodes.back() = 2;
    material.fresh.times.back() = i;
    material.fresh.indices.back() = 2 * i + 1;
  }
  for (int64_t& index : material.fresh.indices) ++index;
  material.fresh.indices[0] = 0;
  EXPECT_LT(Surveyed(material).joint_horizon, kHorizon);
}

/// What recipes/mnm/inverted_pendulum.yaml has: 250 fresh steps, of which 390 would be needed.
TEST(JointSurvey, FewFreshStepsShortenTheHorizon) {
  Material material = JointMaterial(-0.25f);
  material.policy.joint->discount = 0.99;
  material.fresh = Episodes({20, 30, 60, 140});
  const Checkpoint checkpoint = Surveyed(material);
  constexpr int kHalf = 125;
  EXPECT_EQ(checkpoint.joint_horizon, kHalf);
  const auto weights = [](int steps) { return (1 - std::pow(0.99, steps)) / 0.01; };
  // Of the four, the second and the third were cut off; of the last, enough is there.
  const double ended = 2 * weights(20) + weights(kHalf) - weights(20);
  const double going_on = 2 * weights(kHalf);
  EXPECT_NEAR(checkpoint.joint_log_return, std::log((ended + going_on) / 2), 1e-6);
  double prices = 0;
  for (int t = 0; t < kHalf; ++t) prices -= 0.25 * (weights(kHalf) - weights(t));
  EXPECT_NEAR(checkpoint.joint_bound, std::log(weights(kHalf) * 2) + prices / weights(kHalf), 1e-6);
}

TEST(JointSurvey, AnEpisodeWhoseStartIsNotFreshCountsFromItsFirstFreshStep) {
  Material material = JointMaterial(0, {.reward = 3});
  for (int64_t& time : material.fresh.times) time += 700;
  material.policy.joint->discount = 0.99;
  const Checkpoint checkpoint = Surveyed(material);
  EXPECT_EQ(checkpoint.joint_horizon, 25);  // half of the 50 fresh steps
  EXPECT_NEAR(checkpoint.joint_log_return, std::log(3 * (1 - std::pow(0.99, 25)) / 0.01), 1e-6);
  EXPECT_NEAR(checkpoint.joint_bound, checkpoint.joint_log_return, 1e-6);
}

TEST(JointSurvey, ATerminalStatePaysOneForEver) {
  Material material = JointMaterial(0, {.reward = 2, .terminates = true});
  Material ended = material;
  ended.fresh = Episodes({1, kHorizon - 1});
  const Checkpoint checkpoint = Surveyed(ended);
  double weights = 0;
  for (int t = 0; t < kHorizon; ++t) weights += std::pow(kDiscount, t);
  EXPECT_NEAR(checkpoint.joint_bound, std::log(weights) + std::log(2) / weights, 1e-6);
  EXPECT_NEAR(checkpoint.joint_log_return, std::log(weights + 1), 1e-6);
  EXPECT_LE(checkpoint.joint_bound, checkpoint.joint_log_return);
}

TEST(JointSurvey, DepthsAndClipsAreThoseOfTheClassifier) {
  Checkpoint checkpoint = Surveyed(JointMaterial(-0.25f));
  EXPECT_NEAR(checkpoint.log_ratio_1, -0.25, 1e-6);
  EXPECT_NEAR(checkpoint.log_ratio_20, -0.25, 1e-6);
  EXPECT_EQ(checkpoint.log_ratio_clipped, 0);
  EXPECT_EQ(checkpoint.classifier_accuracy, 0.5);  // it calls all modelled
  checkpoint = Surveyed(JointMaterial(-100));
  EXPECT_NEAR(checkpoint.log_ratio_5, -5, 1e-6);
  EXPECT_EQ(checkpoint.log_ratio_clipped, 1);
}

TEST(JointSurvey, WhatIsNotKnownStaysSo) {
  Material material = JointMaterial(0);
  material.policy.joint->log_reward = false;
  EXPECT_TRUE(std::isnan(Surveyed(material).joint_bound));
  material = JointMaterial(0);
  material.fresh = testing::WorldSteps(1);  // of which no half is a step
  EXPECT_TRUE(std::isnan(Surveyed(material).joint_log_return));
  EXPECT_TRUE(std::isnan(Surveyed(material).joint_horizon));
  material.policy.joint.reset();
  const Checkpoint without = Surveyed(material);
  EXPECT_TRUE(std::isnan(without.ratio_weight));
  EXPECT_TRUE(std::isnan(without.classifier_accuracy));
}

TEST(JointSurvey, CriticsOfTheJointRewardAreNotHeldAgainstReturns) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory policies(&store, testing::LoadFakePolicy, 2, 0);
  ASSERT_TRUE(store.Publish(testing::PolicyFile(100)).ok());
  ASSERT_TRUE(policies.Poll(testing::WorldSpec(50)).ok());
  for (const auto& [joint, classified] : {std::pair{true, true}, {true, false}, {false, true}}) {
    Material material = JointMaterial(0);
    if (!joint) material.policy.joint.reset();
    material.policies = &policies;
    if (!classified) material.model.classifier = nullptr;
    material.world = {.output_sds = {1, 1}, .state_sds = {10, 1}, .return_scale = 10};
    Surveyor surveyor({}, 7);
    BiasCounts counts;
    const Checkpoint checkpoint = surveyor.Survey(
        material, 50,
        [](const absl::Status& status, const char* what) {
          EXPECT_TRUE(status.ok()) << what << ": " << status;
        },
        &counts);
    EXPECT_EQ(std::isnan(checkpoint.index), joint);
    EXPECT_EQ(std::isnan(checkpoint.value_bias), joint);
    EXPECT_EQ(std::isnan(checkpoint.joint_bound), !(joint && classified));
    EXPECT_FALSE(std::isnan(checkpoint.gap_25));
    EXPECT_GT(counts.scored, 0);
  }
}

TEST(JointSurvey, ItsMetricsComeWithTheFirstCheckpointThatHasIt) {
  metrics::Registry registry;
  MonitorMetrics metrics(registry);
  metrics.Show({});
  EXPECT_EQ(registry.Page().find("tandem_joint_ratio_weight"), std::string::npos);
  Checkpoint checkpoint;
  checkpoint.ratio_weight = 0.3;
  checkpoint.log_ratio_5 = -0.5;
  metrics.Show(checkpoint);
  EXPECT_NE(registry.Page().find("tandem_joint_ratio_weight 0.3"), std::string::npos);
  EXPECT_NE(registry.Page().find("tandem_log_ratio_nats{depth=\"5\"} -0.5"), std::string::npos);
  EXPECT_NE(registry.Page().find("tandem_joint_bound_nats Nan"), std::string::npos);
}

}  // namespace
}  // namespace tandem::monitor
