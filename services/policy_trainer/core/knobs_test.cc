#include "services/policy_trainer/core/knobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "common/clients/testing/fake_directive_client.h"
#include "common/clients/testing/fake_replay_client.h"
#include "common/data/rows.h"
#include "common/snapshot/snapshot_store.h"
#include "services/policy_trainer/core/testing/fake_model.h"

namespace tandem::policy_trainer {
namespace {

using coadaptation::Knob;
using testing::HasSubstr;

EnvironmentSpec Spec() {
  return {.name = "test",
          .observation = {.low = {-1}, .high = {1}},
          .action = {.low = {-1}, .high = {1}}};
}

std::unique_ptr<policy::SacLearner> Learner(uint64_t seed = 1) {
  return *policy::SacLearner::Create(Spec(), {.hidden = {8}, .seed = seed});
}

void Update(policy::SacLearner& learner, int updates) {
  TransitionBatch batch = MakeRows(1, 1, 16);
  for (int i = 0; i < updates; ++i) {
    Rng rng(learner.updates(), "batch");
    for (auto* column : {&batch.observations, &batch.actions, &batch.next_observations}) {
      for (float& x : *column) x = static_cast<float>(rng.Uniform(-1, 1));
    }
    for (float& x : batch.rewards) x = static_cast<float>(rng.Uniform(-1, 1));
    ASSERT_TRUE(learner.Update(batch).ok());
  }
}

/// Every tensor of the learner's state, moments included.
std::map<std::string, std::vector<float>> Weights(const policy::SacLearner& learner) {
  std::map<std::string, std::vector<float>> weights;
  for (const auto& [name, tensor] : learner.SaveState().tensors) weights[name] = tensor.data;
  return weights;
}

struct Monitored {
  FakeDirectiveClient client;
  metrics::Registry registry;
  Knobs knobs{{.real_share = 0.05, .horizon = 10, .refit_interval = 100},
              &client,
              registry,
              *Clock::Real()};
};

TEST(PolicyKnobsTest, RollbackBringsTheOldWeightsBackBitForBitAndGoesOnCounting) {
  Monitored m;
  const auto learner = Learner();
  Update(*learner, 3);
  EXPECT_TRUE(m.knobs.KeepDue(100));
  m.knobs.Keep(*learner, 100);
  EXPECT_FALSE(m.knobs.KeepDue(199));
  EXPECT_TRUE(m.knobs.KeepDue(200));
  const auto old = Weights(*learner);
  Update(*learner, 4);
  ASSERT_NE(Weights(*learner), old);
  m.client.Set(1, {{.knob = Knob::kRollback, .value = 3}});
  m.knobs.Apply({.granted = 1}, *learner);
  EXPECT_EQ(Weights(*learner), old);
  EXPECT_EQ(learner->updates(), 7u);
  EXPECT_EQ(m.client.acknowledged().back().outcome, DirectiveOutcome::kApplied);

  Update(*learner, 1);
  const auto next = Weights(*learner);
  m.client.Set(2, {{.knob = Knob::kRollback, .value = 3}, {.knob = Knob::kRealShare, .value = 1}});
  m.knobs.Apply({.granted = 1}, *learner);
  EXPECT_EQ(Weights(*learner), next) << "once for each value";
  EXPECT_EQ(m.knobs.real_share(), 1);

  nn::TensorFile state;
  m.knobs.Save(&state);
  Monitored restarted;
  restarted.knobs.Load(state);
  restarted.client.Set(2, {{.knob = Knob::kRollback, .value = 3}});
  restarted.knobs.Apply({.granted = 1}, *learner);
  EXPECT_EQ(restarted.client.acknowledged().back().outcome, DirectiveOutcome::kApplied)
      << "it was taken before the restart";
}

TEST(PolicyKnobsTest, TakesTheNewestPolicyOfAtMostSoManyUpdatesAndRefusesWhatIsNotKept) {
  Monitored m;
  const auto learner = Learner();
  for (int i = 1; i <= 20; ++i) {
    Update(*learner, 1);
    m.knobs.Keep(*learner, 100 * i);
  }
  const auto now = Weights(*learner);
  m.client.Set(1, {{.knob = Knob::kRollback, .value = 4}});
  m.knobs.Apply({.granted = 1}, *learner);
  EXPECT_EQ(Weights(*learner), now);
  ASSERT_EQ(m.client.acknowledged().size(), 1u);
  EXPECT_EQ(m.client.acknowledged()[0].outcome, DirectiveOutcome::kRefused);
  EXPECT_THAT(m.client.acknowledged()[0].message,
              HasSubstr("the policy of 4 updates is not kept, those of 5 to 20 are"));
  m.client.Set(2, {{.knob = Knob::kRollback, .value = 4}, {.knob = Knob::kRealShare, .value = 1}});
  m.knobs.Apply({.granted = 1}, *learner);
  EXPECT_EQ(m.client.acknowledged().back().outcome, DirectiveOutcome::kApplied)
      << "refused once, and no fault of the others";
  EXPECT_EQ(m.knobs.real_share(), 1);
  m.client.Set(3, {{.knob = Knob::kRollback, .value = 1000}});
  m.knobs.Apply({.granted = 1}, *learner);
  EXPECT_EQ(m.client.acknowledged().back().outcome, DirectiveOutcome::kApplied);
}

TEST(KeptPoliciesTest, StaysWithinItsBytes) {
  const auto learner = Learner();
  int64_t bytes = 0;
  for (const auto& [name, data] : Weights(*learner)) bytes += static_cast<int64_t>(4 * data.size());
  KeptPolicies kept(16, 2 * bytes);
  for (int i = 0; i < 4; ++i) {
    Update(*learner, 1);
    kept.Keep(*learner);
  }
  EXPECT_THAT(std::string(kept.Restore(2, *learner).message()), HasSubstr("those of 3 to 4 are"));
  EXPECT_TRUE(kept.Restore(3, *learner).ok());
}

/// A stage with its neighbours; real rewards from 0 to 1.
struct Stage {
  Stage() {
    TransitionBatch steps{.obs_dim = 1, .action_dim = 1};
    for (int i = 0; i <= 1000; ++i) {
      steps.observations.push_back(0);
      steps.actions.push_back(0);
      steps.rewards.push_back(static_cast<float>(i) / 1000);
      steps.next_observations.push_back(0);
      steps.terminated.push_back(0);
      steps.splits.push_back(static_cast<uint8_t>(Split::kTrain));
    }
    replay.SetSpec(Spec());
    replay.AddSteps(steps);
  }
  static ImaginationOptions Options() {
    return {.rollouts_per_refit = 10,
            .horizon_start = 8,
            .horizon_end = 8,
            .refit_interval = 100,
            .freeze_after = 500};
  }
  void Model(float reward, int64_t through_index, float spread = 0) {
    ASSERT_TRUE(models.Publish(FakeModelFile(reward, through_index, spread)).ok());
  }
  /// Rows of the pool after a grant.
  int64_t Refresh(int64_t model_through_index, int64_t env_steps) {
    const absl::Status status = stage.Refresh({.granted = 1,
                                               .through_index = 1000,
                                               .model_through_index = model_through_index,
                                               .env_steps = env_steps},
                                              *learner);
    EXPECT_TRUE(status.ok()) << status;
    return stage.pool().rows();
  }
  float Reward() {
    TransitionBatch out = MakeRows(1, 1, 1);
    Rng rng(1);
    stage.pool().Sample(rng, 1, 0, &out);
    return out.rewards[0];
  }
  double Imagined() {
    const std::string page = registry.Page();
    const std::string name = "\ntandem_policy_trainer_imagined_steps_total ";
    return std::stod(page.substr(page.find(name) + name.size()));
  }

  FakeReplayClient replay;
  snapshot::SnapshotStore models{snapshot::kModelSeries, 1};
  metrics::Registry registry;
  PolicyTrainerMetrics metrics{registry};
  StopSignal stop;
  RealSampler sampler{replay, Spec(), stop, *Clock::Real()};
  ModelFollower follower{models, [](const nn::TensorFile& f) { return LoadFakeModel(f); }, stop,
                         *Clock::Real(), registry};
  std::unique_ptr<policy::SacLearner> learner = Learner();
  ImaginationStage stage{Options(), Spec(), follower, sampler, metrics, stop, *Clock::Real()};
};

TEST(ImaginationUseTest, AShorterHorizonMakesThePoolAnewWithTheSameModel) {
  Stage s;
  s.Model(7, 250);
  EXPECT_EQ(s.Refresh(250, 250), 80);
  s.stage.SetUse({.horizon = 8});
  EXPECT_EQ(s.Refresh(250, 251), 80);
  s.stage.SetUse({.horizon = 3});
  EXPECT_EQ(s.Refresh(250, 252), 30);
  EXPECT_EQ(s.Refresh(250, 253), 30);
  EXPECT_EQ(s.Imagined(), 80 + 80 + 30) << "the cap of the recipe is a change, a repetition none";
}

TEST(ImaginationUseTest, ClampKeepsImaginedRewardsInTheRangeOfRealOnes) {
  Stage s;
  s.Model(7, 250);
  s.Refresh(250, 250);
  EXPECT_EQ(s.Reward(), 7);
  s.stage.SetUse({.clamp_rewards = true});
  s.Refresh(250, 251);
  EXPECT_NEAR(s.Reward(), 0.249, 0.002) << "of the steps that the model has seen";
}

TEST(ImaginationUseTest, PessimismLowersRewardsWhereTheMembersDisagree) {
  for (const float spread : {0.0f, 2.0f}) {
    Stage s;
    s.Model(7, 250, spread);
    s.stage.SetUse({.pessimism = 0.5});
    s.Refresh(250, 250);
    // The root mean over both outputs, of which only the reward varies.
    EXPECT_NEAR(s.Reward(), 7 - 0.5 * spread / std::sqrt(2), 1e-5);
  }
}

TEST(ImaginationUseTest, AFrozenModelFillsThePoolAtEachRefitInterval) {
  Stage s;
  s.Model(7, 500);
  s.Refresh(500, 500);
  s.Refresh(500, 599);
  EXPECT_EQ(s.Imagined(), 80);
  s.Refresh(500, 600);
  s.Refresh(500, 699);
  s.Refresh(500, 700);
  EXPECT_EQ(s.Imagined(), 240);
}

}  // namespace
}  // namespace tandem::policy_trainer
