// All five services as processes, talking to each other: they make progress, and each drains while
// the others hold streams open to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "tests/integration/probe.h"
#include "tests/integration/process.h"

namespace tandem::integration {
namespace {

constexpr const char* kRoles[] = {"replay_buffer", "model_trainer", "policy_trainer", "monitor",
                                  "actor"};

/// Value of a metric without labels; -1 where there is none.
double Metric(const std::string& page, const std::string& name) {
  const size_t at = page.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::atof(page.c_str() + at + name.size() + 2);
}

class RunTogetherTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tandem-together-XXXXXX";
    dir_ = mkdtemp(name);
    for (const char* role : kRoles) Start(role);
  }
  void TearDown() override {
    processes_.clear();
    std::filesystem::remove_all(dir_);
  }

  void Start(const std::string& role) {
    std::vector<std::string> argv = {
        std::string(std::getenv("TANDEM_BINARY_DIR")) + "/bin/tandem_" + role,
        "--config=" + std::string(std::getenv("TANDEM_SOURCE_DIR")) + "/recipes/mbpo/pendulum.yaml",
        "endpoints.listen=unix:" + dir_ + "/" + role,
        "endpoints.metrics=127.0.0.1:0",
        "endpoints.state_dir=" + dir_ + "/state-" + role,
        // Small networks and few steps: this is about the services, not about learning.
        "model.hidden=[32,32]",
        "model.members=3",
        "model.elites=2",
        "model.max_gradient_steps=40",
        "policy.hidden=[32,32]",
        "policy.batch_size=64",
        "imagination.rollouts_per_refit=2000",
        "pace.warmup_steps=100",
        "pace.refit_interval=100",
        "pace.updates_per_step=2",
    };
    for (const char* peer : {"replay_buffer", "model_trainer", "policy_trainer", "monitor"}) {
      argv.push_back(std::string("endpoints.") + peer + "=unix:" + dir_ + "/" + peer);
    }
    auto process = Process::Start(argv, dir_);
    ASSERT_TRUE(process.ok()) << process.status();
    processes_.push_back(*std::move(process));
  }

  std::string dir_;
  std::vector<std::unique_ptr<Process>> processes_;  // in the order of kRoles
};

TEST_F(RunTogetherTest, MakeProgressAndDrainInAnyOrder) {
  const auto replay =
      processes_[0]->WaitForEndpoints(dir_ + "/state-replay_buffer", absl::Seconds(20));
  ASSERT_TRUE(replay.ok()) << replay.status();
  double updates = 0;
  for (int i = 0; i < 600 && updates < 100; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto page = HttpGet(replay->metrics, "/metrics");
    ASSERT_TRUE(page.ok()) << page.status() << processes_[0]->Stderr();
    updates = Metric(*page, "tandem_replay_policy_updates");
  }
  EXPECT_GE(updates, 100) << "no policy updates";
  for (size_t i = 0; i < processes_.size(); ++i) {
    EXPECT_FALSE(processes_[i]->Wait(absl::ZeroDuration())) << kRoles[i] << " has ended";
  }
  // The ones that are watched go first.
  for (size_t i = 0; i < processes_.size(); ++i) {
    processes_[i]->Signal(SIGTERM);
    const std::optional<int> code = processes_[i]->Wait(absl::Seconds(5));
    ASSERT_TRUE(code.has_value()) << kRoles[i] << " does not end\n" << processes_[i]->Stderr();
    EXPECT_EQ(*code, 0) << kRoles[i] << "\n" << processes_[i]->Stderr();
  }
  if (HasFailure()) {
    for (size_t i = 0; i < processes_.size(); ++i) {
      std::cout << "--- " << kRoles[i] << "\n" << processes_[i]->Stderr();
    }
  }
}

}  // namespace
}  // namespace tandem::integration
