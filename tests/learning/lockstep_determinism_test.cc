#include <gtest/gtest.h>

#include "tests/learning/one_process_run.h"

namespace tandem {
namespace {

OneProcessOptions Short(uint64_t seed) {
  OneProcessOptions options = SmallCartpole(seed);
  options.replay.pace.warmup_steps = 100;
  options.replay.pace.refit_interval = 100;
  options.replay.pace.evaluation_interval = 50;
  options.replay.pace.max_env_steps = 300;
  options.trainer.imagination.horizon_end = 3;
  options.trainer.imagination.schedule_end = 300;
  return options;
}

/// The threads of the two runs are scheduled as the machine likes; no number may depend on it.
TEST(Lockstep, TheSameSeedGivesTheSameRunBitForBit) {
  const auto first = TrainInOneProcess(Short(1));
  const auto again = TrainInOneProcess(Short(1));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_EQ(first->evaluations.size(), 5u);  // at 100, 150, 200, 250, 300
  ASSERT_EQ(again->evaluations.size(), 5u);
  for (size_t i = 0; i < first->evaluations.size(); ++i) {
    EXPECT_EQ(first->evaluations[i].env_steps, again->evaluations[i].env_steps);
    EXPECT_EQ(first->evaluations[i].policy_updates, again->evaluations[i].policy_updates);
    EXPECT_EQ(first->evaluations[i].mean_return, again->evaluations[i].mean_return);
  }
  EXPECT_EQ(first->evaluations.back().policy_updates, 1000);
  EXPECT_TRUE(first->model == again->model) << "the last models differ";
  EXPECT_TRUE(first->policy == again->policy) << "the last policies differ";
}

TEST(Lockstep, AnotherSeedGivesAnotherRun) {
  const auto first = TrainInOneProcess(Short(1));
  const auto other = TrainInOneProcess(Short(2));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_FALSE(first->policy == other->policy);
}

}  // namespace
}  // namespace tandem
