#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/clients/environments.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using enum Outcome;

/// A program of one's own. It counts what it makes, and a reset raises once while `trip` exists.
constexpr const char* kProgram = R"(
import os
import gymnasium
import numpy as np
import tandem_env


class Mine(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, np.array([10, 20], np.float32))
    action_space = gymnasium.spaces.Box(np.array([-1, 0, 0]), np.array([1, 1, 1]), dtype=np.float32)

    def __init__(self, folder):
        self.trip = folder + "/trip"
        with open(folder + "/made", "a") as made:
            made.write("1")

    def reset(self, *, seed=None, options=None):
        if os.path.exists(self.trip):
            os.unlink(self.trip)
            raise OSError("it tripped")
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.ones(2, np.float32), 1.0, bool(action[0] > 0.5), False, {}


tandem_env.serve(Mine, num_envs=4)
)";

class PythonProgramTest : public testing::Test {
 protected:
  PythonProgramTest() {
    char name[] = "/tmp/tandem-program-XXXXXX";
    folder_ = mkdtemp(name);
    std::ofstream(folder_ + "/mine.py") << kProgram;
    source_.command = absl::StrCat(std::getenv("TANDEM_PYTHON"), " ", folder_, "/mine.py");
    source_.arguments = absl::StrCat(R"({"folder": ")", folder_, R"("})");
  }
  ~PythonProgramTest() override {
    env_.reset();
    provider_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Make() {
    auto provider = EnvironmentProvider::Create(source_);
    ASSERT_TRUE(provider.ok()) << provider.status();
    provider_ = *std::move(provider);
    auto env = provider_->Make(2, 7);
    ASSERT_TRUE(env.ok()) << env.status();
    env_ = *std::move(env);
  }
  /// first: what the first environment is told.
  void Step(float first) {
    const absl::Status status = env_->Step(std::vector<float>{first, 0, 0, 0, 0, 0});
    ASSERT_TRUE(status.ok()) << status;
  }

  std::string folder_;
  EnvironmentSource source_;
  std::unique_ptr<EnvironmentProvider> provider_;
  std::unique_ptr<VectorEnvironment> env_;
};

TEST_F(PythonProgramTest, BoundsMayBeAlikeOnOneSideAlone) {
  Make();
  EXPECT_THAT(env_->spec().observation.low, ElementsAre(0, 0));
  EXPECT_THAT(env_->spec().observation.high, ElementsAre(10, 20));
  EXPECT_THAT(env_->spec().action.low, ElementsAre(-1, 0, 0));
  EXPECT_THAT(env_->spec().action.high, ElementsAre(1, 1, 1));
}

TEST_F(PythonProgramTest, AResetThatFailsAtAnEndIsOneFailureAndOneRestart) {
  Make();
  Step(0);
  std::ofstream(folder_ + "/trip") << "";
  Step(1);
  EXPECT_THAT(env_->outcomes(), ElementsAre(kStepped, kStepped));
  EXPECT_TRUE(env_->results()[0].terminated);
  const auto faults = env_->TakeFaults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_THAT(faults[0].message, HasSubstr("it tripped"));
  for (const Outcome expected : {kLost, kStarted, kStepped}) {
    Step(0);
    EXPECT_THAT(env_->outcomes(), ElementsAre(expected, kStepped));
  }
  EXPECT_TRUE(env_->TakeFaults().empty());
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/made"), 4u) << "to describe, two, and one more";
}

}  // namespace
}  // namespace tandem
