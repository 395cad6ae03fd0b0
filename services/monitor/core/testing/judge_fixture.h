#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/clock.h"
#include "services/monitor/core/judge.h"

namespace tandem::monitor::testing {

inline constexpr char kToken[] = "a token of some length";

inline void WriteToken(const std::string& path, mode_t mode = 0600) {
  std::ofstream(path) << kToken << "\n";
  chmod(path.c_str(), mode);
}

/// A clock whose wall time jumps where the test says so.
class SteppedClock : public FakeClock {
 public:
  absl::Time Now() override { return FakeClock::Now() + step_; }
  void Step(absl::Duration by) { step_ += by; }

 private:
  absl::Duration step_ = absl::ZeroDuration();
};

/// A judge with its history in a folder of its own, and checkpoints to feed it.
class JudgeFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) / (std::string("judge_") + info->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.controller.act = true;
    options_.controller.horizon = 8;
    options_.controller.recover_refits = 2;
    options_.controller.max_actions_per_hour = 1000;
    options_.history_path = Path("history.jsonl");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const char* name) const { return (folder_ / name).string(); }
  void WriteToken(mode_t mode = 0600) {
    options_.token_file = Path("token");
    testing::WriteToken(options_.token_file, mode);
  }
  std::unique_ptr<Judge> Make() {
    registry_ = registries_.emplace_back(std::make_unique<metrics::Registry>()).get();
    auto judge = Judge::Create(options_, &clock_, registry_);
    EXPECT_TRUE(judge.ok()) << judge.status();
    return *std::move(judge);
  }
  coadaptation::Checkpoint With(double gap) {
    coadaptation::Checkpoint c;
    c.env_steps = steps_ += 250;
    c.policy_updates = 10 * steps_;
    c.gap_25 = c.gap_100 = c.gap_episode = gap;
    c.model_return = 100 + 100 * gap;
    c.real_return = 100;
    clock_.Advance(absl::Seconds(10));
    return c;
  }
  /// Feeds gaps until an event of this kind comes; the number of checkpoints, at most 50.
  int Until(Judge& judge, const std::string& kind, double gap) {
    const size_t before = Kinds(judge, kind).size();
    for (int n = 1; n <= 50; ++n) {
      judge.OnCheckpoint(With(gap));
      if (Kinds(judge, kind).size() > before) return n;
    }
    return 51;
  }
  static std::vector<HistoryEvent> Kinds(Judge& judge, const std::string& kind) {
    std::vector<HistoryEvent> events;
    for (HistoryEvent& event : judge.ReadHistory(0, 0).events) {
      if (event.kind == kind) events.push_back(std::move(event));
    }
    return events;
  }
  std::string Page() const { return registry_->Page(); }

  std::filesystem::path folder_;
  JudgeOptions options_;
  SteppedClock clock_;
  std::vector<std::unique_ptr<metrics::Registry>> registries_;  // one for each judge made
  metrics::Registry* registry_ = nullptr;
  double steps_ = 0;
};

}  // namespace tandem::monitor::testing
