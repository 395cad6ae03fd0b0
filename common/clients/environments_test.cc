#include "common/clients/environments.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"

namespace tandem {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// The children of this process, by the system's word.
std::set<pid_t> Children() {
  std::set<pid_t> children;
  DIR* const folder = opendir("/proc");
  while (const dirent* entry = readdir(folder)) {
    if (std::atoi(entry->d_name) == 0) continue;
    std::ifstream file(std::string("/proc/") + entry->d_name + "/stat");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const size_t name_end = text.rfind(") ");
    if (name_end == std::string::npos) continue;
    if (std::atoi(text.c_str() + name_end + 4) == getpid())
      children.insert(std::atoi(text.c_str()));
  }
  closedir(folder);
  return children;
}

EnvironmentSource CommandSource() {
  EnvironmentSource source;
  source.command =
      absl::StrCat("'", std::getenv("TANDEM_BINARY_DIR"), "/bin/env_server_for_tests'");
  source.step_timeout = absl::Milliseconds(300);
  source.reset_timeout = absl::Seconds(5);
  return source;
}

std::unique_ptr<VectorEnvironment> Make(EnvironmentProvider& provider, int num_envs) {
  auto env = provider.Make(num_envs, 7);
  EXPECT_TRUE(env.ok()) << env.status();
  return *std::move(env);
}

void Step(VectorEnvironment& env) {
  std::vector<float> actions(static_cast<size_t>(env.num_envs() * env.spec().action.dim()), 0.25f);
  const absl::Status status = env.Step(actions);
  EXPECT_TRUE(status.ok()) << status;
}

/// Steps until the first environment runs again, 20 s at most.
void AwaitFirst(VectorEnvironment& env) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  do {
    Step(env);
  } while (env.outcomes()[0] != Outcome::kStarted && std::chrono::steady_clock::now() < deadline);
  EXPECT_EQ(env.outcomes()[0], Outcome::kStarted);
}

/// The same for all.
void AwaitStart(VectorEnvironment& env) {
  AwaitFirst(env);
  EXPECT_THAT(env.outcomes(), Each(Outcome::kStarted));
}

TEST(EnvironmentsTest, BuiltInOnesNeedNoServer) {
  EnvironmentSource source;
  source.name = "pendulum";
  source.max_episode_steps = 5;
  const auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const auto env = Make(**provider, 2);
  EXPECT_EQ(env->spec().name, "pendulum");
  for (int t = 0; t < 5; ++t) Step(*env);
  EXPECT_TRUE(env->results()[1].truncated);
  const auto walks = (*provider)->Make(1, 7, 8);
  ASSERT_TRUE(walks.ok()) << walks.status();
  EXPECT_EQ((*walks)->spec().max_episode_steps, 8);
  EXPECT_EQ((*(*provider)->Make(1, 7, 0))->spec().max_episode_steps, 200) << "its own";
  EXPECT_TRUE(absl::IsInvalidArgument((*provider)->Make(1, 7, -1).status()));
}

TEST(EnvironmentsTest, ASourceThatContradictsItselfIsRefused) {
  const auto refusal = [](EnvironmentSource source) {
    return EnvironmentProvider::Create(source).status().ToString();
  };
  EXPECT_THAT(refusal({}), HasSubstr("expected the name"));
  EXPECT_THAT(refusal({.name = "pendulm"}), AllOf(HasSubstr("NOT_FOUND"), HasSubstr("pendulum")));
  EXPECT_THAT(refusal({.server = "unix:/x", .command = "y"}), HasSubstr("server or a command"));
  EXPECT_THAT(refusal({.name = "pendulum", .arguments = "{}"}), HasSubstr("no arguments"));
  EXPECT_THAT(refusal({.command = "a 'b"}), HasSubstr("closing '"));
  EXPECT_THAT(refusal({.command = "/no/such/server"}), HasSubstr("NOT_FOUND"));
  EXPECT_THAT(refusal({.name = "pendulum", .step_timeout = absl::ZeroDuration()}),
              HasSubstr("timeouts"));
}

TEST(EnvironmentsTest, ACommandThatDiesTellsWhyWithoutWaiting) {
  EnvironmentSource source = CommandSource();
  source.command += " die";
  source.reset_timeout = absl::Seconds(60);
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = EnvironmentProvider::Create(source).status();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no module named 'robots'"));
}

TEST(EnvironmentsTest, AServerThatIsKilledInAnEpisodeIsLostAndComesBack) {
  const auto provider = EnvironmentProvider::Create(CommandSource());
  ASSERT_TRUE(provider.ok()) << provider.status();
  const std::set<pid_t> children = Children();
  ASSERT_EQ(children.size(), 1u);
  const auto training = Make(**provider, 3), evaluation = Make(**provider, 2);
  for (int t = 0; t < 3; ++t) Step(*training);
  EXPECT_THAT(training->outcomes(), Each(Outcome::kStepped));
  kill(*children.begin(), SIGKILL);
  Step(*training);
  EXPECT_THAT(training->outcomes(), Each(Outcome::kLost));
  const auto faults = training->TakeFaults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].kind, FaultKind::kCrashed);
  EXPECT_THAT(faults[0].message, HasSubstr("signal 9 (Killed)"));
  EXPECT_THAT(faults[0].message, HasSubstr("ready for the test"));
  AwaitStart(*training);
  Step(*evaluation);
  EXPECT_THAT(evaluation->outcomes(), Each(Outcome::kLost));
  AwaitStart(*evaluation);
}

TEST(EnvironmentsTest, AServerThatStandsStillIsKilledAndStartedAnew) {
  EnvironmentSource source = CommandSource();
  source.reset_timeout = absl::Seconds(2);
  const auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const pid_t first = *Children().begin();
  const auto env = Make(**provider, 3);
  Step(*env);
  kill(first, SIGSTOP);
  // Its threads stop one after the other, and may answer until then.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (env->outcomes()[0] == Outcome::kStepped && std::chrono::steady_clock::now() < deadline) {
    Step(*env);
  }
  EXPECT_THAT(env->outcomes(), Each(Outcome::kLost));
  const auto faults = env->TakeFaults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].kind, FaultKind::kHung);
  AwaitStart(*env);
  EXPECT_FALSE(Children().contains(first));
}

class PythonEnvironmentsTest : public testing::Test {
 protected:
  static EnvironmentSource Source() {
    EnvironmentSource source;
    source.name = "gym:CartPole-v1";
    source.max_episode_steps = 30;
    source.step_timeout = absl::Seconds(2);
    source.client = "test";
    return source;
  }
};

TEST_F(PythonEnvironmentsTest, AGymnasiumIdIsServedByPython) {
  const auto provider = EnvironmentProvider::Create(Source());
  ASSERT_TRUE(provider.ok()) << provider.status();
  const auto env = Make(**provider, 4);
  EXPECT_EQ(env->spec().name, "gym:CartPole-v1");
  EXPECT_EQ(env->spec().observation.dim(), 4);
  EXPECT_EQ(env->spec().action.dim(), 2) << "two choices, two scores";
  EXPECT_EQ(env->spec().max_episode_steps, 30);
  std::vector<float> first, second;
  for (std::vector<float>* seen : {&first, &second}) {
    ASSERT_TRUE(env->ResetAll(3).ok());
    EXPECT_THAT(env->outcomes(), Each(Outcome::kStarted));
    int ends = 0;
    for (int t = 0; t < 60; ++t) {
      Step(*env);
      EXPECT_THAT(env->outcomes(), Each(Outcome::kStepped));
      for (const StepResult& result : env->results()) {
        EXPECT_EQ(result.reward, 1);
        ends += result.ended() ? 1 : 0;
      }
      seen->insert(seen->end(), env->observations().begin(), env->observations().end());
    }
    EXPECT_GE(ends, 4);
  }
  EXPECT_EQ(first, second);

  const pid_t server = *Children().begin();
  kill(server, SIGKILL);
  Step(*env);
  EXPECT_THAT(env->outcomes(), Each(Outcome::kLost));
  EXPECT_EQ(env->TakeFaults().at(0).kind, FaultKind::kCrashed);
  AwaitStart(*env);
}

/// After how many steps, `most` at most, every episode ends.
int StepsToTheEnd(VectorEnvironment& env, int most) {
  for (int t = 1; t <= most; ++t) {
    Step(env);
    EXPECT_THAT(env.outcomes(), Each(Outcome::kStepped));
    if (env.results()[0].truncated && env.results()[1].truncated) return t;
  }
  return 0;
}

TEST_F(PythonEnvironmentsTest, OneServerGivesBatchesOfSeveralLimits) {
  EnvironmentSource source = Source();
  source.name = "gym:Pendulum-v1";
  const auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const auto training = Make(**provider, 2);
  auto walks = *(*provider)->Make(2, 7, /*max_episode_steps=*/45);
  EXPECT_EQ(training->spec().max_episode_steps, 30);
  EXPECT_EQ(walks->spec().max_episode_steps, 45);
  EXPECT_EQ((*(*provider)->Make(1, 7, 0))->spec().max_episode_steps, 200) << "its own";
  EXPECT_EQ(Children().size(), 1u);
  EXPECT_EQ(StepsToTheEnd(*walks, 60), 45);
  kill(*Children().begin(), SIGKILL);
  Step(*walks);
  AwaitStart(*walks);
  EXPECT_EQ(StepsToTheEnd(*walks, 60), 45) << "also in the session that came after";
  walks.reset();
  Step(*training);
  AwaitStart(*training);
  EXPECT_EQ(StepsToTheEnd(*training, 60), 30);
  EXPECT_EQ(Children().size(), 1u);
}

TEST_F(PythonEnvironmentsTest, WorkersThatHangTogetherCostNobodyElseAnEpisode) {
  char folder[] = "/tmp/tandem-hang-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  std::ofstream(std::string(folder) + "/hangs.py") << R"(
import time
import gymnasium
import numpy as np


class Hangs(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        if action[0] > 0.5:
            time.sleep(60)
        return np.zeros(1, np.float32), 1.0, False, False, {}
)";
  EnvironmentSource source;
  source.command = absl::StrCat("env PYTHONPATH=", folder, ":", std::getenv("TANDEM_SOURCE_DIR"),
                                "/python ", std::getenv("TANDEM_PYTHON"),
                                " -m tandem_env --make hangs:Hangs --num-envs 6 --workers 3");
  source.step_timeout = absl::Seconds(4);
  {
    const auto provider = EnvironmentProvider::Create(source);
    ASSERT_TRUE(provider.ok()) << provider.status();
    const auto env = Make(**provider, 6);
    Step(*env);
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(env->Step(std::vector<float>{0, 0.9f, 0.9f, 0, 0, 0}).ok());
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(6));
    using enum Outcome;
    EXPECT_THAT(env->outcomes(), ElementsAre(kLost, kLost, kLost, kLost, kStepped, kStepped));
    const auto faults = env->TakeFaults();
    ASSERT_EQ(faults.size(), 4u);
    EXPECT_EQ(faults[0].env, 1) << "the guilty one first";
    EXPECT_EQ(faults[0].kind, FaultKind::kHung);
    EXPECT_THAT(faults[0].message, HasSubstr("a step took longer than 4 s"));
    AwaitFirst(*env);
    EXPECT_EQ(env->outcomes()[5], kStepped);
  }
  std::filesystem::remove_all(folder);
}

TEST_F(PythonEnvironmentsTest, AnUnknownIdTellsWhatPythonSays) {
  EnvironmentSource source = Source();
  source.name = "gym:NoSuchThing-v0";
  const absl::Status status = EnvironmentProvider::Create(source).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("NameNotFound: Environment `NoSuchThing` doesn't exist"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--gym NoSuchThing-v0"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("pip install")));
}

}  // namespace
}  // namespace tandem
