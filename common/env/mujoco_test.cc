#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/rng.h"
#include "common/env/mujoco_model.h"
#include "common/env/simulation.h"

namespace tandem {
namespace {

using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> FirstObservation(Simulation& env) {
  std::vector<float> observation(static_cast<size_t>(env.spec().observation.dim()));
  EXPECT_TRUE(env.Reset(1, observation).ok());
  return observation;
}

// Every observation of `steps` random steps.
std::vector<float> Play(const std::string& name, uint64_t seed, int steps) {
  std::unique_ptr<Simulation> env = *MakeSimulation(name);
  std::vector<float> all, observation(static_cast<size_t>(env->spec().observation.dim()));
  std::vector<float> action(static_cast<size_t>(env->spec().action.dim()));
  EXPECT_TRUE(env->Reset(seed, observation).ok());
  Rng rng(seed, "actions");
  for (int t = 0; t < steps; ++t) {
    for (float& a : action) a = static_cast<float>(rng.Uniform(-0.4, 0.4));
    const absl::StatusOr<StepResult> result = env->Step(action, observation);
    EXPECT_TRUE(result.ok()) << result.status();
    all.insert(all.end(), observation.begin(), observation.end());
    if (!result.ok()) break;
    if (result->terminated) {
      EXPECT_TRUE(env->Reset(std::nullopt, observation).ok());
    }
  }
  return all;
}

TEST(SharedMujocoModel, IsOneForAllThatUseItAndGoesWithTheLast) {
  const auto one = *SharedMujocoModel("humanoid.xml");
  const auto two = *SharedMujocoModel("humanoid.xml");
  EXPECT_EQ(one, two);
  const long users = one.use_count();
  std::vector<std::unique_ptr<Simulation>> many;
  for (int i = 0; i < 8; ++i) many.push_back(*MakeSimulation("humanoid"));
  EXPECT_EQ(one.use_count(), users + 8);
  many.clear();
  EXPECT_EQ(one.use_count(), users);
  EXPECT_NE(*SharedMujocoModel("ant.xml"), one);
  std::weak_ptr<const mjModel> hopper = *SharedMujocoModel("hopper.xml");
  EXPECT_TRUE(hopper.expired());
}

TEST(SharedMujocoModel, ThreadsThatShareAModelDoNotDisturbEachOther) {
  const std::vector<float> alone[] = {Play("humanoid", 1, 60), Play("humanoid", 2, 60)};
  std::vector<float> together[2];
  {
    std::jthread other([&] { together[0] = Play("humanoid", 1, 60); });
    together[1] = Play("humanoid", 2, 60);
  }
  EXPECT_EQ(together[0], alone[0]);
  EXPECT_EQ(together[1], alone[1]);
}

TEST(MujocoTask, RefusesAFileOfOtherSizes) {
  namespace fs = std::filesystem;
  std::string folder = fs::temp_directory_path() / "tandem_mujoco_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  fs::copy_file(fs::path(TANDEM_GYMNASIUM_ASSETS) / "walker2d.xml",
                fs::path(folder) / "hopper.xml");
  setenv("TANDEM_MUJOCO_ASSETS", folder.c_str(), 1);
  const absl::Status status = MakeEnvironment("hopper").status();
  unsetenv("TANDEM_MUJOCO_ASSETS");
  fs::remove_all(folder);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(),
            "hopper.xml: expected 6 positions, 6 speeds, 3 actuators and 5 bodies, got 9 "
            "positions, 9 speeds, 6 actuators and 8 bodies");
}

TEST(StateFrom, NeedsWhatTheObservationLacks) {
  for (const std::string name : {"hopper", "walker2d", "inverted_double_pendulum"}) {
    std::unique_ptr<Simulation> env = *MakeSimulation(name);
    std::vector<float> observation = FirstObservation(*env);
    EXPECT_TRUE(env->SetObservation(observation).ok()) << name;
    const size_t speed = observation.size() - 2;  // the last is a force in one of them
    observation[speed] = -10;
    const absl::Status status = env->SetObservation(observation);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("within +-10, got -10"));
    observation[speed] = -9.99f;
    EXPECT_TRUE(env->SetObservation(observation).ok()) << name;
  }
  std::unique_ptr<Simulation> pusher = *MakeSimulation("pusher");
  EXPECT_TRUE(absl::IsFailedPrecondition(pusher->SetObservation(FirstObservation(*pusher))));
}

struct Case {
  const char* name;
  std::vector<float> head;  // the first numbers; the others are 0
  bool terminal;
};

TEST(KnownTermination, IsTheRuleOfTheTask) {
  const std::vector<Case> cases = {
      {"ant", {0.2001f}, false},
      {"ant", {1.0f}, false},
      {"ant", {0.1999f}, true},
      {"ant", {1.001f}, true},
      {"ant", {0.5f, 1, 0, 0, kNan}, true},
      {"half_cheetah", {9, 9, 9}, false},
      {"half_cheetah", {kNan}, false},
      {"hopper", {0.701f}, false},
      {"hopper", {0.699f}, true},
      {"hopper", {1.25f, 0.1999f}, false},
      {"hopper", {1.25f, 0.2001f}, true},
      {"hopper", {1.25f, -0.2001f}, true},
      {"hopper", {1.25f, 0, 99}, false},
      {"hopper", {1.25f, 0, 100}, true},
      {"hopper", {1.25f, 0, -100}, true},
      {"hopper", {120}, false},
      {"hopper", {kInf}, true},
      {"humanoid", {1.001f}, false},
      {"humanoid", {1}, true},
      {"humanoid", {2}, true},
      {"humanoid", {1.4f, kNan}, true},
      {"inverted_double_pendulum", {0, 0, 0, 1, 1}, false},
      {"inverted_double_pendulum", {0, 0, 0, 1, 0.66f}, true},
      {"inverted_double_pendulum", {0, 0, 0, 1, 0.67f}, false},
      {"inverted_double_pendulum", {0, 0.6f, -0.6f, 0.8f, 0.8f}, false},
      {"inverted_double_pendulum", {0, 0.6f, 0.6f, 0.8f, 0.8f}, true},
      {"inverted_pendulum", {5, 0.1999f, 9, 9}, false},
      {"inverted_pendulum", {0, -0.2001f}, true},
      {"pusher", {kNan}, false},
      {"reacher", {5}, false},
      {"swimmer", {5}, false},
      {"walker2d", {0.801f, 0.99f}, false},
      {"walker2d", {0.799f}, true},
      {"walker2d", {2}, true},
      {"walker2d", {1.25f, -1}, true},
      {"walker2d", {1.25f, 0, kNan}, true},
  };
  for (const Case& c : cases) {
    const int64_t dim = (*MakeEnvironment(c.name))->spec().observation.dim();
    std::vector<float> rows(2 * static_cast<size_t>(dim));  // twice: a batch
    std::copy(c.head.begin(), c.head.end(), rows.begin());
    std::copy(c.head.begin(), c.head.end(), rows.begin() + dim);
    std::vector<uint8_t> out(2, 9);
    (*KnownTermination(c.name))(rows, dim, out);
    EXPECT_EQ(out, std::vector<uint8_t>(2, c.terminal ? 1 : 0))
        << c.name << " " << testing::PrintToString(c.head);
  }
}

}  // namespace
}  // namespace tandem
