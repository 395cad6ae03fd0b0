// Each service as a process: how it starts, what it answers, how it ends, and how it says no.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "common/base/files.h"
#include "tests/integration/probe.h"
#include "tests/integration/process.h"

namespace tandem::integration {
namespace {

using ::testing::HasSubstr;

/// What reflection must list, by role.
const std::map<std::string, std::string> kServices = {
    {"actor", "grpc.health.v1.Health"},
    {"model_trainer", "tandem.snapshot.v1.SnapshotService"},
    {"monitor", "tandem.monitor.v1.MonitorService"},
    {"policy_trainer", "tandem.snapshot.v1.SnapshotService"},
    {"replay_buffer", "tandem.replay.v1.ReplayBufferService"},
};

class ServiceProcessTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const char* build = std::getenv("TANDEM_BINARY_DIR");
    ASSERT_NE(build, nullptr);
    binary_ = std::string(build) + "/bin/tandem_" + GetParam();
    char name[] = "/tmp/tandem-service-XXXXXX";
    dir_ = mkdtemp(name);
    state_dir_ = dir_ + "/state";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  /// Starts the service alone, all its peers absent. Later overrides win.
  std::unique_ptr<Process> Start(const std::vector<std::string>& overrides = {}) {
    std::vector<std::string> argv = {
        binary_,
        "env.name=pendulum",
        "endpoints.listen=unix:" + dir_ + "/listen.sock",
        "endpoints.metrics=127.0.0.1:0",
        "endpoints.state_dir=" + state_dir_,
        "endpoints.replay_buffer=unix:" + dir_ + "/replay.sock",
        "endpoints.model_trainer=unix:" + dir_ + "/model.sock",
        "endpoints.policy_trainer=unix:" + dir_ + "/policy.sock",
        "endpoints.monitor=unix:" + dir_ + "/monitor.sock",
    };
    argv.insert(argv.end(), overrides.begin(), overrides.end());
    auto process = Process::Start(argv, dir_);
    EXPECT_TRUE(process.ok()) << process.status();
    return process.ok() ? *std::move(process) : nullptr;
  }

  /// The service must end by itself, not with 0, and with one line that holds `text`.
  void ExpectRefusal(Process& process, const std::string& text) {
    const std::optional<int> code = process.Wait(absl::Seconds(10));
    ASSERT_TRUE(code.has_value()) << "it still runs\n" << process.Stderr();
    EXPECT_NE(*code, 0);
    EXPECT_LT(*code, 128) << "a signal";
    const std::string error = process.Stderr();
    EXPECT_THAT(error, HasSubstr(text));
    EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
  }

  std::string binary_, dir_, state_dir_;
};

TEST_P(ServiceProcessTest, WaitingThreadsOfATrainerSleepByWhateverHandItIsStarted) {
  if (GetParam() != "model_trainer" && GetParam() != "policy_trainer") {
    GTEST_SKIP() << "no threads";
  }
  // OpenMP says what it was told each time that the program is loaded: last the program that runs.
  const auto told = [&](const std::vector<std::string>& environment) {
    std::vector<std::string> argv = {"/usr/bin/env", "-u", "OMP_WAIT_POLICY",
                                     "OMP_DISPLAY_ENV=verbose"};
    argv.insert(argv.end(), environment.begin(), environment.end());
    argv.insert(argv.end(), {binary_, "--help"});
    const auto process = Process::Start(argv, dir_);
    EXPECT_TRUE(process.ok()) << process.status();
    EXPECT_EQ((*process)->Wait(absl::Seconds(20)), 0);
    const std::string text = (*process)->Stderr();
    return text.substr(std::min(text.size(), text.rfind("GOMP_SPINCOUNT")));
  };
  EXPECT_THAT(told({}), testing::StartsWith("GOMP_SPINCOUNT = '0'"));
  EXPECT_THAT(told({"OMP_WAIT_POLICY=active"}),
              testing::Not(testing::StartsWith("GOMP_SPINCOUNT = '0'")));
}

TEST_P(ServiceProcessTest, ServesHealthReflectionAndMetricsAndDrains) {
  const auto process = Start();
  ASSERT_NE(process, nullptr);
  const auto endpoints = process->WaitForEndpoints(state_dir_, absl::Seconds(20));
  ASSERT_TRUE(endpoints.ok()) << endpoints.status();
  const absl::Status health = WaitForHealth(endpoints->address, "SERVING", absl::Seconds(10));
  EXPECT_TRUE(health.ok()) << health << process->Stderr();
  const auto services = Reflect(endpoints->address);
  ASSERT_TRUE(services.ok()) << services.status();
  EXPECT_THAT(*services, HasSubstr(kServices.at(GetParam())));
  const auto page = HttpGet(endpoints->metrics, "/metrics");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, HasSubstr("tandem_build_info{"));
  EXPECT_THAT(*page, HasSubstr("\ntandem_nonfinite_observations_total 0\n"));
  EXPECT_THAT(*page, HasSubstr("\nprocess_resident_memory_bytes "));
  const absl::Status promtool = CheckWithPromtool(*page);
  EXPECT_TRUE(promtool.ok()) << promtool;

  process->Signal(SIGTERM);
  const std::optional<int> code = process->Wait(absl::Seconds(5));
  ASSERT_TRUE(code.has_value()) << "it does not end\n" << process->Stderr();
  EXPECT_EQ(*code, 0) << process->Stderr();
  EXPECT_FALSE(std::filesystem::exists(state_dir_ + "/endpoints.json"));
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/listen.sock"));
}

TEST_P(ServiceProcessTest, StartsAgainAfterAKill) {
  for (int life = 0; life < 2; ++life) {
    const auto process = Start();
    ASSERT_NE(process, nullptr);
    const auto endpoints = process->WaitForEndpoints(state_dir_, absl::Seconds(20));
    ASSERT_TRUE(endpoints.ok()) << endpoints.status();
    process->Signal(SIGKILL);
    ASSERT_EQ(process->Wait(absl::Seconds(5)), 128 + SIGKILL);
  }
}

TEST_P(ServiceProcessTest, RefusesASocketOrPortInUse) {
  const auto first = Start({"endpoints.listen=127.0.0.1:0"});
  ASSERT_NE(first, nullptr);
  const auto endpoints = first->WaitForEndpoints(state_dir_, absl::Seconds(20));
  ASSERT_TRUE(endpoints.ok()) << endpoints.status();
  const std::string own_state = "endpoints.state_dir=" + dir_ + "/other";
  ExpectRefusal(*Start({own_state, "endpoints.listen=" + endpoints->address}), endpoints->address);
  ExpectRefusal(*Start({own_state, "endpoints.metrics=" + endpoints->metrics}), endpoints->metrics);
  EXPECT_EQ(*Health(endpoints->address), "SERVING");
}

TEST_P(ServiceProcessTest, RefusesAStateFolderThatCannotBeWritten) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/file", "x").ok());
  ExpectRefusal(*Start({"endpoints.state_dir=" + dir_ + "/file/state"}), dir_ + "/file");
}

TEST_P(ServiceProcessTest, RefusesAnUnknownKeyAndAValueOutOfRange) {
  const auto unknown = Start({"endpoints.lisen=unix:/tmp/x"});
  ExpectRefusal(*unknown, "listen");  // the nearest one
  ExpectRefusal(*Start({"runtime.drain_seconds=-1"}), "drain_seconds");
}

TEST_P(ServiceProcessTest, OptionsThatNoRestartCanHelpExitWith2) {
  const auto process = Start({"endpoints.listen=", "endpoints.replay_buffer="});
  ExpectRefusal(*process, "endpoints.listen");
  EXPECT_EQ(process->Wait(absl::Seconds(1)), 2);
}

std::vector<std::string> Roles() {
  std::vector<std::string> roles;
  roles.reserve(kServices.size());
  for (const auto& [role, service] : kServices) roles.push_back(role);
  return roles;
}

INSTANTIATE_TEST_SUITE_P(Services, ServiceProcessTest, testing::ValuesIn(Roles()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tandem::integration
