// A step of a MuJoCo task allocates nothing on the heap. A program of its own: it counts every
// allocation, MuJoCo's own included.

#include <mujoco/mujoco.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/rng.h"
#include "common/base/testing/allocations.h"
#include "common/env/environment.h"
#include "gtest/gtest.h"

namespace tandem {
namespace {

class EveryMujocoTask : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(All, EveryMujocoTask,
                         testing::Values("ant", "half_cheetah", "hopper", "humanoid",
                                         "inverted_double_pendulum", "inverted_pendulum", "pusher",
                                         "reacher", "swimmer", "walker2d"),
                         [](const auto& info) { return info.param; });

TEST_P(EveryMujocoTask, AllocatesNothingInAStepOrAReset) {
  std::unique_ptr<Environment> env = *MakeEnvironment(GetParam());
  std::vector<float> observation(static_cast<size_t>(env->spec().observation.dim()));
  std::vector<float> action(static_cast<size_t>(env->spec().action.dim()));
  Rng rng(1, "actions");
  ASSERT_TRUE(env->Reset(1, observation).ok());
  mju_user_malloc = [](size_t size) { return AllocateCounted(size, 64); };  // MuJoCo's own kind
  const int64_t before = Allocations();
  for (int t = 0; t < 100; ++t) {
    for (float& a : action) a = static_cast<float>(rng.Uniform(-1, 1));
    const absl::StatusOr<StepResult> result = env->Step(action, observation);
    if (!result.ok() || result->terminated || result->truncated) {
      ASSERT_TRUE(result.ok() && env->Reset(std::nullopt, observation).ok());
    }
  }
  EXPECT_EQ(Allocations() - before, 0);
  const std::vector<float> counted(100);
  EXPECT_EQ(Allocations() - before, 1);
  mju_free(mju_malloc(1));
  EXPECT_EQ(Allocations() - before, 2);
  mju_user_malloc = nullptr;
}

}  // namespace
}  // namespace tandem
