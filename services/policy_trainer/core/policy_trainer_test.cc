#include "services/policy_trainer/core/policy_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "services/policy_trainer/core/testing/world.h"

namespace tandem::policy_trainer {
namespace {

using testing::HasSubstr;

TEST(PolicyTrainer, PublishesTheInitialPolicyBeforeAnyGrant) {
  World world;
  world.options.imagination.pessimism = 0.5;
  ASSERT_TRUE(
      world.Live([&] { world.WaitFor([&] { return world.policies.Latest() != nullptr; }); }).ok());
  EXPECT_EQ(world.Metadata("policy_updates"), "0");
  EXPECT_EQ(world.Metadata("pessimism"), "0.5");
  EXPECT_EQ(world.replay.progress()[0].role, Role::kPolicyTrainer);
  EXPECT_EQ(world.replay.progress()[0].policy_updates, 0);
}

TEST(PolicyTrainer, MixesRealAndImaginedRowsAndPublishesAfterEachGrant) {
  World world;
  world.Model(7, 250);
  world.AddGrant(10, 260, 250);
  world.AddGrant(10, 261, 250);
  ASSERT_TRUE(
      world.Live([&] { world.WaitFor([&] { return world.replay.progress().size() >= 3; }); }).ok());
  EXPECT_EQ(world.replay.progress()[1].policy_updates, 10);
  EXPECT_EQ(world.replay.progress()[2].policy_updates, 20);
  const auto batches = world.log.batches();
  ASSERT_EQ(batches.size(), 20u);
  for (const TransitionBatch& batch : batches) {
    ASSERT_EQ(batch.size(), 20);
    EXPECT_EQ(std::count(batch.rewards.begin(), batch.rewards.end(), kRealReward), 5);
    EXPECT_EQ(std::count(batch.rewards.begin(), batch.rewards.end(), 7), 15);
  }
  EXPECT_NE(batches[0].observations, batches[1].observations);
  EXPECT_EQ(world.policies.Latest()->version.version, 3u);
  EXPECT_EQ(world.Metadata("policy_updates"), "20");
  EXPECT_EQ(world.Metadata("through_index"), "261");
  EXPECT_EQ(world.Metadata("env_steps"), "261");
  EXPECT_EQ(world.Metadata("model_version"), "1");
  EXPECT_EQ(world.Metadata("horizon"), "1");
  EXPECT_EQ(world.Metadata("real_share"), "0.25");
  EXPECT_EQ(world.Metadata("pessimism"), "0");
  EXPECT_EQ(world.Metadata("truncated_share"), "0");
  const std::string page = world.metrics.Page();
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_updates_total 20"));
  EXPECT_THAT(page, HasSubstr("tandem_rollouts_total 50"));
  EXPECT_THAT(page, HasSubstr("tandem_rollouts_truncated_total 0"));
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_pool_rows 50"));
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_real_share_ratio 0.25"));
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_critic_loss 2"));
}

TEST(PolicyTrainer, ImaginesAnewWithEachNewModelAndWaitsForIt) {
  World world;
  world.Model(7, 250);
  world.AddGrant(5, 250, 250);
  world.AddGrant(5, 500, 500);
  ASSERT_TRUE(world
                  .Live([&] {
                    world.WaitFor([&] { return world.log.count() >= 5; });
                    absl::SleepFor(absl::Milliseconds(30));
                    EXPECT_EQ(world.log.count(), 5u);  // never with the old model
                    world.Model(8, 500);
                    world.WaitFor([&] { return world.log.count() >= 10; });
                  })
                  .ok());
  const auto last = world.log.batches().back();
  EXPECT_EQ(std::count(last.rewards.begin(), last.rewards.end(), 8), 15);
  EXPECT_EQ(std::count(last.rewards.begin(), last.rewards.end(), 7), 0);
}

TEST(PolicyTrainer, TheHorizonFollowsTheScheduleOfTheModelsSteps) {
  World world;
  world.options.imagination.horizon_end = 3;
  world.options.imagination.schedule_end = 500;
  world.Model(7, 500);
  world.AddGrant(1, 500, 500);
  ASSERT_TRUE(world.Live([&] { world.WaitFor([&] { return world.log.count() >= 1; }); }).ok());
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_policy_trainer_horizon_steps 3"));
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_policy_trainer_imagined_steps_total 150"));
}

std::vector<TransitionBatch> BatchesOfARun(uint64_t seed) {
  World world;
  world.options.seed = seed;
  world.options.imagination.seed = seed;
  world.Model(7, 250);
  world.AddGrant(10, 260, 250);
  world.AddGrant(10, 270, 250);
  EXPECT_TRUE(world.Live([&] { world.WaitFor([&] { return world.log.count() >= 20; }); }).ok());
  return world.log.batches();
}

TEST(PolicyTrainer, TheSameSeedGivesTheSameBatches) {
  const auto first = BatchesOfARun(1), again = BatchesOfARun(1), other = BatchesOfARun(2);
  ASSERT_EQ(first.size(), again.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].observations, again[i].observations);
    EXPECT_EQ(first[i].actions, again[i].actions);
  }
  EXPECT_NE(first[0].actions, other[0].actions);
}

TEST(PolicyTrainer, WithRealRowsAloneItNeedsNoModel) {
  World world;
  world.options.real_share = 1;
  world.AddGrant(10, 260, 250);
  ASSERT_TRUE(world.Live([&] { world.WaitFor([&] { return world.log.count() >= 10; }); }).ok());
  const auto batch = world.log.batches().back();
  EXPECT_EQ(std::count(batch.rewards.begin(), batch.rewards.end(), kRealReward), 20);
}

TEST(PolicyTrainer, AsyncPublishesEachIntervalAndWhateverThereIsWhenItMustWait) {
  World world;
  world.options.lockstep = false;
  world.options.imagination.exact_model = false;
  world.options.publish_interval = 50;
  world.Model(7, 300);
  world.AddGrant(50, 260, 250);
  world.AddGrant(30, 261, 250);
  ASSERT_TRUE(world
                  .Live([&] {
                    world.WaitFor([&] { return world.replay.progress().size() >= 3; });
                    EXPECT_EQ(world.Metadata("policy_updates"), "50");
                    world.replay.AddGrant({});
                    world.WaitFor([&] { return world.replay.progress().size() >= 4; });
                    EXPECT_EQ(world.Metadata("policy_updates"), "80");
                  })
                  .ok());
  EXPECT_EQ(world.replay.progress()[0].wanted, 50);
}

TEST(PolicyTrainer, AModelOfAnotherEnvironmentIsCountedAndWaitedPast) {
  World world;
  nn::TensorFile other = FakeModelFile(7, 250);
  other.tensors.clear();
  ASSERT_TRUE(world.models.Publish(other).ok());
  world.AddGrant(5, 250, 250);
  ASSERT_TRUE(world
                  .Live([&] {
                    world.WaitFor([&] {
                      return world.metrics.Page().find(
                                 "tandem_policy_trainer_models_rejected_total 1") !=
                             std::string::npos;
                    });
                    world.Model(7, 250);
                    world.WaitFor([&] { return world.log.count() >= 5; });
                  })
                  .ok());
}

class TempDir {
 public:
  TempDir() {
    std::string pattern = std::filesystem::temp_directory_path() / "tandem_policy_trainer_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(PolicyTrainer, ARestartGoesOnFromTheCheckpoint) {
  TempDir dir;
  {
    World world;
    world.options.state_dir = dir.path();
    world.Model(7, 250);
    world.AddGrant(10, 260, 250);
    ASSERT_TRUE(world.Live([&] { world.WaitFor([&] { return world.log.count() >= 10; }); }).ok());
  }
  World world;
  world.options.state_dir = dir.path();
  world.Model(7, 250);
  world.AddGrant(10, 270, 250);
  ASSERT_TRUE(
      world.Live([&] { world.WaitFor([&] { return world.replay.progress().size() >= 2; }); }).ok());
  EXPECT_EQ(world.replay.progress()[0].policy_updates, 10);
  EXPECT_EQ(world.replay.progress()[1].policy_updates, 20);
  // The second half of an undisturbed run: rows are chosen by the number of the update.
  const auto whole = BatchesOfARun(0);
  EXPECT_EQ(world.log.batches()[0].rewards, whole[10].rewards);
}

TEST(PolicyTrainer, RefusesACheckpointOfAnotherLearnerAndStartsAfresh) {
  TempDir dir;
  World world;
  world.options.state_dir = dir.path();
  training::Checkpointer({.state_dir = dir.path(), .metric_prefix = "tandem_test"}, *Clock::Real(),
                         world.metrics)
      .Save(FakeModelFile(1, 1))
      .IgnoreError();
  ASSERT_TRUE(
      world.Live([&] { world.WaitFor([&] { return !world.replay.progress().empty(); }); }).ok());
  EXPECT_EQ(world.replay.progress()[0].policy_updates, 0);
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_policy_trainer_checkpoints_refused_total 1"));
}

TEST(PolicyTrainer, GoesOnAfterAFailedUpdateButEndsWhenAllFail) {
  World world;
  world.Model(7, 250);
  world.AddGrant(5, 260, 250);
  world.log.failures_left = 1;
  EXPECT_TRUE(world.Live([&] { world.WaitFor([&] { return world.log.count() >= 5; }); }).ok());

  World doomed;
  doomed.options.real_share = 1;
  doomed.log.failures_left = 1 << 20;
  doomed.AddGrant(5, 260, 250);
  absl::Status status = doomed.Live([&] {
    doomed.WaitFor([&] {
      return doomed.metrics.Page().find("tandem_policy_trainer_failed_updates_total 10") !=
             std::string::npos;
    });
  });
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("10 updates in a row failed"));
}

TEST(PolicyTrainer, AppliesDirectivesFromTheNextGrantOn) {
  using coadaptation::Knob;
  World world;
  world.options.imagination.horizon_start = world.options.imagination.horizon_end = 4;
  world.Model(7, 250);
  world.AddGrant(5, 260, 250);
  ASSERT_TRUE(world
                  .Live([&] {
                    world.WaitFor([&] { return world.log.count() == 5; });
                    world.directives.Set(1, {{.knob = Knob::kRolloutHorizon, .value = 2},
                                             {.knob = Knob::kRealShare, .value = 0.5},
                                             {.knob = Knob::kRollback, .value = 3}});
                    world.replay.AddGrant({.granted = 5,
                                           .through_index = 261,
                                           .model_through_index = 250,
                                           .env_steps = 261,
                                           .directive_version = 1});
                    world.WaitFor([&] { return world.log.count() == 10; });
                    world.directives.Set(2, {{.knob = Knob::kRealShare, .value = 1}});
                    world.AddGrant(5, 262, 250);
                    world.WaitFor([&] { return world.log.count() == 15; });
                  })
                  .ok());
  const auto batches = world.log.batches();
  const auto real = [&](int i) {
    return std::count(batches[i].rewards.begin(), batches[i].rewards.end(), kRealReward);
  };
  EXPECT_EQ(real(0), 5);
  EXPECT_EQ(real(5), 10);
  EXPECT_EQ(real(10), 20) << "nothing is imagined";
  const std::string page = world.metrics.Page();
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_imagined_steps_total 300"))
      << "50 rollouts of 4, and, with the same model, of 2";
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_knob_value{knob=\"real_share\"} 1"));
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_knob_value{knob=\"rollout_horizon\"} 4"));
  const auto told = world.directives.acknowledged();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].outcome, DirectiveOutcome::kApplied) << "the initial policy was kept";
  EXPECT_EQ(told[1].outcome, DirectiveOutcome::kApplied);
  EXPECT_THAT(page, HasSubstr("tandem_policy_trainer_rollbacks_total 1"));
}

}  // namespace
}  // namespace tandem::policy_trainer
