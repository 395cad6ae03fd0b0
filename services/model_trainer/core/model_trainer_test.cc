#include "services/model_trainer/core/model_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/clients/testing/fake_directive_client.h"
#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"

namespace tandem::model_trainer {
namespace {

using testing::HasSubstr;

EnvironmentSpec Spec() {
  return {.name = "test",
          .observation = {.low = {-1}, .high = {1}},
          .action = {.low = {-1}, .high = {1}}};
}

TransitionBatch Steps(int64_t count) {
  TransitionBatch steps{.obs_dim = 1, .action_dim = 1};
  for (int64_t i = 0; i < count; ++i) {
    steps.observations.push_back(0);
    steps.actions.push_back(0);
    steps.rewards.push_back(0);
    steps.next_observations.push_back(0);
    steps.terminated.push_back(0);
    steps.truncated.push_back(0);
    steps.episodes.push_back(0);
    steps.times.push_back(i);
    steps.policy_versions.push_back(0);
    steps.splits.push_back(static_cast<uint8_t>(i % 5 == 4 ? Split::kHoldout : Split::kTrain));
  }
  return steps;
}

/// What the fits of a test share, whichever learner did them.
struct FitLog {
  std::atomic<int> learners{0};
  std::atomic<int> fits{0};
  std::atomic<int> failures_left{0};
  std::atomic<bool> endless{false};  // a fit then lasts until it is cancelled

  void AddReset(int member) {
    MutexLock lock(mu);
    resets.push_back(member);
  }
  std::vector<int> Resets() {
    MutexLock lock(mu);
    return resets;
  }
  Mutex mu;
  std::vector<int> resets ABSL_GUARDED_BY(mu);
};

/// "Learns" the number of fits that it has had.
class FakeLearner : public dynamics::EnsembleLearner {
 public:
  explicit FakeLearner(FitLog& log) : log_(log) { ++log_.learners; }

  absl::StatusOr<dynamics::FitReport> Fit(const TransitionBatch& train,
                                          const TransitionBatch& holdout,
                                          const std::function<bool()>& cancelled) override {
    ++log_.fits;
    while (log_.endless) {
      if (cancelled()) return absl::CancelledError("cancelled");
      absl::SleepFor(absl::Milliseconds(1));
    }
    if (log_.failures_left > 0) {
      --log_.failures_left;
      return absl::InternalError("loss is not finite");
    }
    ++fits_;
    return dynamics::FitReport{.gradient_steps = std::exchange(long_fit_, false) ? 20 : 10,
                               .train_rows = train.size(),
                               .holdout_rows = holdout.size(),
                               .holdout_nll = 0.5};
  }
  void MakeNextFitLong() override { long_fit_ = true; }
  absl::Status ResetMember(int member) override {
    log_.AddReset(member);
    return absl::OkStatus();
  }
  nn::TensorFile ExportModel() const override { return SaveState(); }
  nn::TensorFile SaveState() const override {
    nn::TensorFile file;
    file.tensors["fits"] = {.shape = {1}, .data = {fits_}};
    file.metadata["kind"] = "fake";
    return file;
  }
  absl::Status LoadState(const nn::TensorFile& state) override {
    fits_ = 1000;  // a refused state leaves traces
    const auto found = nn::FindTensor(state, "fits", {1});
    if (!found.ok()) return found.status();
    fits_ = (*found)->data[0];
    return absl::OkStatus();
  }

 private:
  FitLog& log_;
  float fits_ = 0;
  bool long_fit_ = false;
};

/// What one life of the service talks to.
template <typename Replay = FakeReplayClient>
struct World {
  explicit World(uint64_t epoch = 1) : store(snapshot::kModelSeries, epoch) {
    replay.SetSpec(Spec());
    replay.AddSteps(Steps(100));
  }
  Replay replay;
  snapshot::SnapshotStore store;
  metrics::Registry metrics;
};

class ModelTrainerTest : public testing::Test {
 protected:
  ModelTrainerTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "tandem_model_trainer_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  ~ModelTrainerTest() override { std::filesystem::remove_all(dir_); }

  /// One life of the service, from start to the end of the script and Stop().
  template <typename Replay>
  void Live(World<Replay>& world, const std::function<void(ModelTrainer&)>& during) {
    options_.member = "model-trainer";
    options_.state_dir = dir_;
    options_.members = 3;
    ModelTrainer trainer(
        options_, {world.replay, world.store, *Clock::Real(), world.metrics,
                   [this](const EnvironmentSpec&) { return std::make_unique<FakeLearner>(log_); },
                   &directives_});
    std::thread thread([&trainer] { EXPECT_TRUE(trainer.Run().ok()); });
    during(trainer);
    trainer.Stop();
    thread.join();
  }

  static void WaitFor(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(2));
    ASSERT_TRUE(condition());
  }

  /// Fits that went into a snapshot.
  static float FitsIn(const snapshot::Snapshot& snapshot) {
    return snapshot.Parse()->tensors.at("fits").data[0];
  }

  std::string dir_;
  ModelTrainerOptions options_;
  FitLog log_;
  FakeDirectiveClient directives_;
};

TEST_F(ModelTrainerTest, FitsEachGrantAndReportsWhatTheModelCovers) {
  World world;
  world.replay.AddGrant({.granted = 1, .through_index = 40, .env_steps = 41});
  world.replay.AddGrant({.granted = 1, .through_index = 80, .env_steps = 81});
  Live(world, [&](ModelTrainer&) { WaitFor([&] { return world.replay.progress().size() >= 3; }); });
  const auto progress = world.replay.progress();
  EXPECT_EQ(progress[0].role, Role::kModelTrainer);
  EXPECT_EQ(progress[0].member, "model-trainer");
  EXPECT_EQ(progress[0].model_through_index, 0);
  EXPECT_EQ(progress[1].model_through_index, 40);
  EXPECT_EQ(progress[2].model_through_index, 80);
  const auto latest = world.store.Latest();
  ASSERT_NE(latest, nullptr);
  const auto file = latest->Parse();
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->metadata.at("through_index"), "80");
  EXPECT_EQ(file->metadata.at("env_steps"), "81");
  const std::string page = world.metrics.Page();
  EXPECT_THAT(page, HasSubstr("tandem_model_trainer_fits_total 2"));
  EXPECT_THAT(page, HasSubstr("tandem_model_trainer_gradient_steps_total 20"));
  EXPECT_THAT(page, HasSubstr("tandem_model_trainer_train_rows 64"));
  EXPECT_THAT(page, HasSubstr("tandem_model_trainer_holdout_rows 16"));
  EXPECT_THAT(page, HasSubstr("tandem_model_trainer_model_through_index 80"));
}

TEST_F(ModelTrainerTest, AFrozenModelIsPublishedAgainAsItIs) {
  World world;
  options_.freeze_after = 40;
  for (int64_t n : {20, 40, 60, 80}) {
    world.replay.AddGrant({.granted = 1, .through_index = n, .env_steps = n});
  }
  Live(world, [&](ModelTrainer&) { WaitFor([&] { return world.replay.progress().size() >= 5; }); });
  EXPECT_EQ(FitsIn(*world.store.Latest()), 2);
  EXPECT_EQ(world.store.Latest()->version.version, 4u);
  EXPECT_EQ(world.store.Latest()->Parse()->metadata.at("through_index"), "40");
  EXPECT_EQ(world.replay.progress()[4].model_through_index, 40) << "what its weights have used";
  EXPECT_EQ(world.replay.progress()[4].fitted_through_index, 80) << "but no fit is due";
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_model_trainer_fits_total 2"));
}

TEST_F(ModelTrainerTest, APlantedErrorEntersTheSnapshotsFromItsTimeOn) {
  World world;
  options_.planted = {.reward = 3, .low = -1, .high = 1};
  options_.planted_from = 40;
  world.replay.AddGrant({.granted = 1, .through_index = 39, .env_steps = 39});
  Live(world, [&](ModelTrainer&) {
    WaitFor([&] { return world.replay.progress().size() >= 2; });
    EXPECT_FALSE(world.store.Latest()->Parse()->metadata.contains("planted_reward"));
    world.replay.AddGrant({.granted = 1, .through_index = 40, .env_steps = 40});
    WaitFor([&] { return world.replay.progress().size() >= 3; });
    EXPECT_EQ(world.store.Latest()->Parse()->metadata.at("planted_reward"), "3");
  });
  options_.planted.element = 100;
  World other;
  ModelTrainer refused(
      options_, {other.replay, other.store, *Clock::Real(), other.metrics,
                 [this](const EnvironmentSpec&) { return std::make_unique<FakeLearner>(log_); }});
  EXPECT_THAT(std::string(refused.Run().message()), HasSubstr("study.planted_element"));
}

TEST_F(ModelTrainerTest, ARestartGoesOnFromTheCheckpointAndAsksForAFitAnew) {
  {
    World world;
    for (int i = 1; i <= 3; ++i) world.replay.AddGrant({.granted = 1, .through_index = 10 * i});
    Live(world,
         [&](ModelTrainer&) { WaitFor([&] { return world.replay.progress().size() >= 4; }); });
  }
  World world(/*epoch=*/2);
  world.replay.AddGrant({.granted = 1, .through_index = 30});
  Live(world, [&](ModelTrainer&) { WaitFor([&] { return world.store.Latest() != nullptr; }); });
  EXPECT_EQ(world.replay.progress()[0].model_through_index, 0);
  EXPECT_EQ(FitsIn(*world.store.Latest()), 4);
}

TEST_F(ModelTrainerTest, RefusesACheckpointOfAnotherLearnerAndStartsAfresh) {
  nn::TensorFile other;
  other.tensors["weights"] = {.shape = {1}, .data = {1}};
  metrics::Registry metrics;
  training::Checkpointer({.state_dir = dir_, .metric_prefix = "tandem_test"}, *Clock::Real(),
                         metrics)
      .Save(other)
      .IgnoreError();
  World world;
  world.replay.AddGrant({.granted = 1, .through_index = 30});
  Live(world, [&](ModelTrainer&) { WaitFor([&] { return world.store.Latest() != nullptr; }); });
  EXPECT_EQ(FitsIn(*world.store.Latest()), 1);
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_model_trainer_checkpoints_refused_total 1"));
}

TEST_F(ModelTrainerTest, StopEndsAFitWithinATenthOfASecond) {
  World world;
  log_.endless = true;
  world.replay.AddGrant({.granted = 1, .through_index = 30});
  absl::Time stopped;
  Live(world, [&](ModelTrainer&) {
    WaitFor([&] { return log_.fits > 0; });
    stopped = absl::Now();
  });
  EXPECT_LT(absl::Now() - stopped, absl::Milliseconds(100));
  EXPECT_EQ(world.store.Latest(), nullptr);
}

TEST_F(ModelTrainerTest, AFailedFitIsCountedAndTriedAgainAndThreeGetNewWeights) {
  World world;
  log_.failures_left = 3;
  for (int i = 0; i < 4; ++i) world.replay.AddGrant({.granted = 1, .through_index = 30});
  Live(world, [&](ModelTrainer&) { WaitFor([&] { return world.store.Latest() != nullptr; }); });
  EXPECT_EQ(log_.learners, 2);
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_model_trainer_fit_failures_total 3"));
}

/// A buffer that can lose its steps.
class LossyClient : public FakeReplayClient {
 public:
  std::atomic<bool> emptied{false};
  absl::StatusOr<ReplayStatus> GetStatus() override {
    auto status = FakeReplayClient::GetStatus();
    if (status.ok() && emptied) status->end_index = 0;
    return status;
  }
};

TEST_F(ModelTrainerTest, FetchesAllAgainFromABufferThatCameBackEmpty) {
  World<LossyClient> world;
  world.replay.AddGrant({.granted = 1, .through_index = 50});
  Live(world, [&](ModelTrainer&) {
    WaitFor([&] { return world.replay.progress().size() >= 2; });
    EXPECT_EQ(world.replay.progress().back().model_through_index, 50);
    world.replay.emptied = true;
    world.replay.FailNext(absl::UnavailableError("connection reset"));
    world.replay.AddGrant({});  // ends the call under way; the next one fails
    WaitFor([&] { return world.replay.progress().size() >= 3; });
    EXPECT_EQ(world.replay.progress().back().model_through_index, 0);
    world.replay.AddGrant({.granted = 1, .through_index = 20});
    WaitFor([&] { return world.replay.progress().size() >= 4; });
    EXPECT_EQ(world.replay.progress().back().model_through_index, 20);
  });
  EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_model_trainer_train_rows 16"));
}

TEST_F(ModelTrainerTest, WaitsQuietlyOnceTheRunIsOver) {
  World world;
  world.replay.AddGrant({.granted = 1, .through_index = 30});
  world.replay.StopWhenOutOfGrants();
  Live(world, [&](ModelTrainer&) {
    WaitFor([&] { return std::filesystem::exists(dir_ + "/checkpoint.safetensors"); });
  });
  EXPECT_EQ(world.replay.calls("Advance"), 2);
}

TEST_F(ModelTrainerTest, AFrozenModelIsNotFittedUnlessARefitIsAskedFor) {
  options_.freeze_after = 40;
  World world;
  for (const int64_t steps : {40, 60}) {
    world.replay.AddGrant({.granted = 1, .through_index = steps, .env_steps = steps});
  }
  Live(world, [&](ModelTrainer&) {
    WaitFor([&] { return world.replay.progress().size() >= 3; });
    EXPECT_EQ(log_.fits, 1);
    EXPECT_EQ(world.replay.progress()[2].model_through_index, 40) << "what its weights have used";
    EXPECT_EQ(world.replay.progress()[2].fitted_through_index, 60);
    directives_.Set(1, {{.knob = coadaptation::Knob::kRefit, .value = 1}});
    world.replay.AddGrant(
        {.granted = 1, .through_index = 80, .env_steps = 80, .directive_version = 1});
    WaitFor([&] { return world.replay.progress().size() >= 4; });
    EXPECT_EQ(log_.fits, 2);
    EXPECT_EQ(world.replay.progress()[3].model_through_index, 80);
    EXPECT_THAT(world.metrics.Page(), HasSubstr("tandem_model_trainer_gradient_steps_total 30"))
        << "10, and a long one of 20";
    world.replay.AddGrant({.granted = 1, .through_index = 90, .env_steps = 90});
    WaitFor([&] { return world.replay.progress().size() >= 5; });
    EXPECT_EQ(log_.fits, 2) << "one fit for each refit asked for";
    EXPECT_EQ(world.replay.progress()[4].fitted_through_index, 90);
  });
  EXPECT_EQ(directives_.acknowledged().size(), 1u);

  World again(/*epoch=*/2);  // a restart: the frozen weights are published as what they are
  again.replay.AddGrant({.granted = 1, .through_index = 95, .env_steps = 95});
  Live(again, [&](ModelTrainer&) {
    WaitFor([&] { return again.replay.progress().size() >= 2; });
    EXPECT_EQ(again.replay.progress()[1].model_through_index, 80);
    EXPECT_EQ(again.replay.progress()[1].fitted_through_index, 95);
  });
  EXPECT_EQ(log_.fits, 2);
  EXPECT_EQ(again.store.Latest()->Parse()->metadata.at(snapshot::kEnvStepsKey), "80");
}

}  // namespace
}  // namespace tandem::model_trainer
