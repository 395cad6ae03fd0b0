#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/monitor.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor::testing {

inline constexpr double kScale = 100;  // of returns: the first is 0, the best 100
inline constexpr int64_t kEpisodeSteps = 50;

/// A monitor over in-memory fakes, driven by hand. discount .99 and scale 100 make (1 - g) S = 1,
/// so the index is the mean bias of a step.
class MonitorFixture : public ::testing::Test {
 protected:
  MonitorFixture() : models_(snapshot::kModelSeries, 1), policies_(snapshot::kPolicySeries, 1) {
    options_.survey.updates_tolerance = 10;
    options_.window = 5000;
    replay_.SetSpec(WorldSpec(kEpisodeSteps));
    for (int i = 0; i < 10; ++i) replay_.AddEpisode(TrainingEpisode(0));
    for (int i = 0; i < 5; ++i) replay_.AddEpisode(TrainingEpisode(kScale));
  }

  MonitorDeps Deps() {
    if (judge_ == nullptr) {
      auto judge = Judge::Create({}, &clock_, &registry_);
      EXPECT_TRUE(judge.ok()) << judge.status();
      judge_ = *std::move(judge);
    }
    return {&replay_,       &models_, &policies_, LoadFakeModel,
            LoadFakePolicy, &clock_,  &registry_, judge_.get()};
  }

  Monitor& Make(ModelFactory load_model = LoadFakeModel) {
    MonitorDeps deps = Deps();
    deps.load_model = std::move(load_model);
    auto monitor = Monitor::Create(options_, std::move(deps));
    EXPECT_TRUE(monitor.ok()) << monitor.status();
    monitor_ = *std::move(monitor);
    return *monitor_;
  }

  void Publish(snapshot::SnapshotStore& store, const nn::TensorFile& file) {
    const auto published = store.Publish(file);
    ASSERT_TRUE(published.ok()) << published.status();
  }

  /// Adds steps of an episode of their own.
  void AddSteps(TransitionBatch steps) {
    steps.episodes.assign(steps.size(), ++episode_);
    replay_.AddSteps(std::move(steps));
  }

  /// Reads what the replay buffer holds, then takes it in.
  void Run() {
    const absl::Status status = monitor_->ReadChunk(absl::Milliseconds(1));
    ASSERT_TRUE(status.ok()) << status;
    monitor_->Tick();
  }

  /// A monitor that follows a model with a fault and a critic.
  void Begin(const Fault& fault, double offset = 0, double slope = 0, int64_t updates = 0) {
    Make();
    Publish(models_, ModelFile(0, fault));
    Publish(policies_, PolicyFile(updates, offset, slope));
    Run();
    monitor_->Tick();  // the policy that it saw after the model
  }

  /// The next model comes, `through` steps on: the checkpoint ends.
  coadaptation::Checkpoint End(int64_t through) {
    Publish(models_, ModelFile(through));
    Run();
    return judge_->Report().checkpoint;
  }

  /// One model with a fault, one critic, 200 fresh steps: the checkpoint of that.
  coadaptation::Checkpoint Surveyed(const Fault& fault, double offset = 0, double slope = 0) {
    Begin(fault, offset, slope);
    AddSteps(WorldSteps(200));
    return End(200);
  }

  bool PageHas(const std::string& line) const {
    return registry_.Page().find("\n" + line + "\n") != std::string::npos;
  }

  FakeReplayClient replay_;
  snapshot::SnapshotStore models_;
  snapshot::SnapshotStore policies_;
  FakeClock clock_;
  metrics::Registry registry_;
  MonitorOptions options_;
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<Monitor> monitor_;
  int64_t episode_ = 0;
};

}  // namespace tandem::monitor::testing
