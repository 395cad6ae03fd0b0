#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/subprocess.h"
#include "common/clients/environments.h"

namespace tandem::cli {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Binary() { return absl::StrCat(std::getenv("TANDEM_BINARY_DIR"), "/bin/tandem"); }

/// Standard output of a program.
std::string OutputOf(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  std::string output;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) output.push_back(static_cast<char>(c));
  EXPECT_EQ(pclose(pipe), 0) << output;
  return output;
}

TEST(EnvCheckCommandTest, ThatOfAProgramChecksTheProtocolToo) {
  const std::string output = OutputOf(absl::StrCat(Binary(), " env check --command '", Binary(),
                                                   " env serve cartpole_continuous'"));
  EXPECT_THAT(output, HasSubstr("ok      Describe: makes sense"));
  EXPECT_THAT(output, HasSubstr("ok      Close: gives the environments back"));
  EXPECT_THAT(output, HasSubstr("ok      environments start"));
}

TEST(EnvCheckCommandTest, TellsOneFailureInFullAndOnce) {
  const std::string script = testing::TempDir() + "/one_failure.py";
  std::ofstream(script) << R"(import numpy as np
import tandem_env

class Box:
    low, high, shape, dtype = -np.ones(2), np.ones(2), (2,), np.dtype(np.float32)

class Env:
    observation_space = action_space = Box()
    def reset(self, seed=None, options=None):
        return np.zeros(2, np.float32), {}
    def step(self, action):
        raise RuntimeError("the arm is stuck")
    def close(self):
        pass

tandem_env.serve(Env, num_envs=4)
)";
  const std::string output =
      OutputOf(absl::StrCat(Binary(), " env check --command '", std::getenv("TANDEM_PYTHON"), " ",
                            script, "' 2>&1; test $? = 1"));
  EXPECT_THAT(output, HasSubstr("failed\n"));
  EXPECT_THAT(output, HasSubstr("got: RuntimeError: the arm is stuck (as above)"));
  const std::vector<std::string> tracebacks = absl::StrSplit(output, "in step\n    raise");
  EXPECT_EQ(tracebacks.size(), 2u) << output;
  EXPECT_THAT(output, Not(HasSubstr("environment server: "))) << "its log is not relayed";
  std::filesystem::remove(script);
}

class EnvServeTest : public testing::TestWithParam<const char*> {
 protected:
  EnvServeTest() {
    char name[] = "/tmp/tandem-serve-XXXXXX";
    dir_ = mkdtemp(name);
  }
  ~EnvServeTest() override {
    env_.reset();
    provider_.reset();
    if (pid_ > 0) End(SIGTERM);
    std::filesystem::remove_all(dir_);
  }

  void Serve() {
    const auto pid = StartSubprocess({.argv = {Binary(), "env", "serve", "cartpole_continuous"},
                                      .environment = {{"TANDEM_ENV_LISTEN", Address()}}});
    ASSERT_TRUE(pid.ok()) << pid.status();
    pid_ = *pid;
  }
  /// What waitpid gave.
  int End(int signal) {
    kill(pid_, signal);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }
  std::string Address() const { return absl::StrCat("unix:", dir_, "/env.sock"); }
  std::vector<Outcome> Step() {
    const absl::Status status = env_->Step(std::vector<float>(2, 0.1f));
    EXPECT_TRUE(status.ok()) << status;
    return {env_->outcomes().begin(), env_->outcomes().end()};
  }
  /// Steps until environment `env` is `outcome`, 20 s at most.
  void StepUntil(size_t env, Outcome outcome) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (Step()[env] != outcome) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
  }

  std::string dir_;
  pid_t pid_ = 0;
  std::unique_ptr<EnvironmentProvider> provider_;
  std::unique_ptr<VectorEnvironment> env_;
};

TEST_P(EnvServeTest, AServerThatIsKilledCostsAnEpisodeAndNoMore) {
  Serve();
  EnvironmentSource source;
  source.server = GetParam() + Address();
  source.step_timeout = absl::Seconds(2);
  auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  provider_ = *std::move(provider);
  auto env = provider_->Make(2, 1);
  ASSERT_TRUE(env.ok()) << env.status();
  env_ = *std::move(env);
  for (int t = 0; t < 5; ++t) EXPECT_THAT(Step(), Each(Outcome::kStepped));
  const int killed = End(SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(killed));
  EXPECT_THAT(Step(), Each(Outcome::kLost));
  for (const EnvironmentFault& fault : env_->TakeFaults()) {
    EXPECT_EQ(fault.kind, FaultKind::kVanished) << fault.message;
  }
  EXPECT_THAT(Step(), Each(Outcome::kAbsent));
  Serve();
  StepUntil(0, Outcome::kStarted);
  StepUntil(1, Outcome::kStepped);
  EXPECT_THAT(Step(), Each(Outcome::kStepped));
  env_.reset();
  provider_.reset();
  const int ended = End(SIGTERM);
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0) << DescribeExit(ended);
}

INSTANTIATE_TEST_SUITE_P(All, EnvServeTest, testing::Values("", "dm_env_rpc:"),
                         [](const auto& info) { return *info.param != 0 ? "DmEnvRpc" : "Vector"; });

TEST(EnvCommandsTest, CheckTellsWithItsExitCode) {
  const auto run = [](const std::vector<std::string>& words) {
    std::vector<std::string> argv = {Binary(), "env", "check"};
    argv.insert(argv.end(), words.begin(), words.end());
    const auto pid = StartSubprocess({.argv = argv});
    int status = 0;
    EXPECT_TRUE(pid.ok() && waitpid(*pid, &status, 0) == *pid);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(run({"pendulum"}), 0);
  EXPECT_EQ(run({"--command", absl::StrCat("'", Binary(), "' env serve pendulum")}), 0);
  EXPECT_EQ(run({"pendulums"}), 1);
  EXPECT_EQ(run({}), 2);
}

}  // namespace
}  // namespace tandem::cli
