#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "services/monitor/core/testing/judge_fixture.h"
#include "services/monitor/core/testing/monitor_fixture.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using coadaptation::Knob;
using testing::FakeModel;
using testing::ModelFile;
using testing::PolicyFile;
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
class MonitorPaceTest : public testing::MonitorFixture {
 protected:
  MonitorPaceTest() {
    options_.paced = true;
    replay_.AddSteps(WorldSteps(150));
    Publish(models_, ModelFile(0, {.reward = 0.3}));
    Publish(policies_, PolicyFile(0));
    Grant grant = {.granted = 1, .through_index = 100, .policy_updates = 0};
    grant.env_steps = 100;
    replay_.AddGrant(grant);
  }
  ~MonitorPaceTest() override { monitor_->Stop(); }

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
};

TEST_F(MonitorPaceTest, JudgesWhereThePaceSaysAndTellsItSo) {
  Make().Start();
  EXPECT_TRUE(Told(100));
  EXPECT_EQ(replay_.progress().back().role, Role::kMonitor);
  const Checkpoint checkpoint = judge_->Report().checkpoint;
  EXPECT_EQ(checkpoint.fresh_steps, 100);
  EXPECT_EQ(checkpoint.env_steps, 100);
  EXPECT_NEAR(checkpoint.index, 0.3, 1e-5);
}

TEST_F(MonitorPaceTest, TellsThePaceItsKnobsAndTheAnswerAcknowledgesThem) {
  JudgeOptions judging;
  judging.token_file = ::testing::TempDir() + "/monitor_pace_token";
  testing::WriteToken(judging.token_file);
  auto judge = Judge::Create(judging, &clock_, &registry_);
  ASSERT_TRUE(judge.ok()) << judge.status();
  judge_ = *std::move(judge);
  Make().Start();
  ASSERT_TRUE(judge_->SetOverride(Knob::kPolicyPause, 1, testing::kToken, "why").ok());
  const auto acknowledged = [this] {
    const std::vector<HistoryEvent> events = judge_->ReadHistory(0, 0).events;
    return std::any_of(events.begin(), events.end(), [](const HistoryEvent& event) {
      return event.kind == "acknowledged" &&
             event.text.find("applied by replay_buffer") != std::string::npos;
    });
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!acknowledged() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(acknowledged());
  const std::vector<Progress> told = replay_.progress();
  EXPECT_TRUE(std::any_of(told.begin(), told.end(), [](const Progress& progress) {
    return progress.policy_pause && progress.updates_per_step < 0;
  }));
}

TEST_F(MonitorPaceTest, TellsThePaceThatItIsThereWhileItJudges) {
  Make([this](const nn::TensorFile&, const EnvironmentSpec&) {
    return std::make_unique<SlowModel>(&clock_);
  }).Start();
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
