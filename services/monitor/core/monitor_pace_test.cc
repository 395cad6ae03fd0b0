#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/monitor.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using testing::FakeModel;
using testing::ModelFile;
using testing::PolicyFile;
using testing::TrainingEpisode;
using testing::WorldSteps;

/// A model each of whose steps takes a tenth of a second, as told by a fake clock.
class SlowModel : public FakeModel {
 public:
  explicit SlowModel(FakeClock* clock) : FakeModel({}), clock_(clock) {}
  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng& rng,
                    dynamics::ModelStep* step) override {
    clock_->Advance(absl::Milliseconds(100));
    return FakeModel::Step(observations, actions, rng, step);
  }

 private:
  FakeClock* const clock_;
};

/// A paced monitor over in-memory fakes, on its own threads. The first 100 steps are to be judged.
class MonitorPaceTest : public ::testing::Test {
 protected:
  MonitorPaceTest() : models_(snapshot::kModelSeries, 1), policies_(snapshot::kPolicySeries, 1) {
    options_.paced = true;
    options_.survey.updates_tolerance = 10;
    replay_.SetSpec(testing::WorldSpec(/*max_episode_steps=*/50));
    for (int i = 0; i < 10; ++i) replay_.AddEpisode(TrainingEpisode(0));
    for (int i = 0; i < 5; ++i) replay_.AddEpisode(TrainingEpisode(100));
    replay_.AddSteps(WorldSteps(150));
    EXPECT_TRUE(models_.Publish(ModelFile(0, {.reward = 0.3})).ok());
    EXPECT_TRUE(policies_.Publish(PolicyFile(0)).ok());
    Grant grant = {.granted = 1, .through_index = 100, .policy_updates = 0};
    grant.env_steps = 100;
    replay_.AddGrant(grant);
  }
  ~MonitorPaceTest() override { monitor_->Stop(); }

  void Start(ModelFactory load_model) {
    auto judge = Judge::Create({}, &clock_, &registry_);
    ASSERT_TRUE(judge.ok()) << judge.status();
    judge_ = *std::move(judge);
    auto monitor =
        Monitor::Create(options_, {&replay_, &models_, &policies_, std::move(load_model),
                                   testing::LoadFakePolicy, &clock_, &registry_, judge_.get()});
    ASSERT_TRUE(monitor.ok()) << monitor.status();
    monitor_ = *std::move(monitor);
    monitor_->Start();
  }

  /// Waits until it says that it has judged the steps below `index`.
  bool Told(int64_t index) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < until) {
      const std::vector<Progress> progress = replay_.progress();
      if (!progress.empty() && progress.back().judged_through_index == index) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  FakeReplayClient replay_;
  snapshot::SnapshotStore models_;
  snapshot::SnapshotStore policies_;
  FakeClock clock_;
  metrics::Registry registry_;
  MonitorOptions options_;
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<Monitor> monitor_;
};

TEST_F(MonitorPaceTest, JudgesWhereThePaceSaysAndTellsItSo) {
  Start(testing::LoadFakeModel);
  EXPECT_TRUE(Told(100));
  EXPECT_EQ(replay_.progress().back().role, Role::kMonitor);
  const Checkpoint checkpoint = judge_->Report().checkpoint;
  EXPECT_EQ(checkpoint.fresh_steps, 100);
  EXPECT_EQ(checkpoint.env_steps, 100);
  EXPECT_NEAR(checkpoint.index, 0.3, 1e-5);
}

TEST_F(MonitorPaceTest, TellsThePaceThatItIsThereWhileItJudges) {
  Start([this](const nn::TensorFile&, const EnvironmentSpec&) {
    return std::make_unique<SlowModel>(&clock_);
  });
  ASSERT_TRUE(Told(100));
  const double seconds = absl::ToDoubleSeconds(clock_.Monotonic());
  ASSERT_GT(seconds, 10) << "too fast to be taken for dead";
  // One report at most each two seconds, and none of them missing; a few before and after.
  int reports = 0;
  for (const Progress& progress : replay_.progress()) {
    EXPECT_EQ(progress.role, Role::kMonitor);
    if (progress.judged_through_index < 100) ++reports;
  }
  EXPECT_GE(reports, static_cast<int>(seconds / 2.2));
  EXPECT_EQ(judge_->Report().checkpoint.fresh_steps, 100) << "and it judged all the same";
}

}  // namespace
}  // namespace tandem::monitor
