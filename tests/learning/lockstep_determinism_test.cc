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

using coadaptation::Knob;

/// A run whose monitor turns every knob that there is.
OneProcessOptions Directed() {
  OneProcessOptions options = Short(1);
  options.replay.pace.max_env_steps = 600;
  options.replay.pace.updates_per_step = 2;
  options.replay.pace.monitor_in_lockstep = true;
  options.directed = {{.settings = {{.knob = Knob::kRolloutHorizon, .value = 1},
                                    {.knob = Knob::kRealShare, .value = 0.5},
                                    {.knob = Knob::kDataCollection, .value = 0.3}},
                       .updates_per_step = 1.5},
                      {.settings = {{.knob = Knob::kPessimism, .value = 1},
                                    {.knob = Knob::kRewardClamp, .value = 1},
                                    {.knob = Knob::kRefit, .value = 1},
                                    {.knob = Knob::kMemberReset, .value = 1}}},
                      {.settings = {{.knob = Knob::kRollback, .value = 200}}, .policy_pause = true},
                      {.settings = {}}};
  return options;
}

TEST(Lockstep, WithAMonitorThatActsTheSameSeedGivesTheSameRunBitForBit) {
  const auto first = TrainInOneProcess(Directed());
  const auto again = TrainInOneProcess(Directed());
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(again.ok()) << again.status();
  // 100 steps at 2 updates, 100 at 1.5, 100 at 2, 100 in a pause, 100 at 2.
  EXPECT_EQ(first->evaluations.back().policy_updates, 200 + 150 + 200 + 0 + 200);
  EXPECT_EQ(first->refused, 0);
  EXPECT_TRUE(first->model == again->model) << "the last models differ";
  EXPECT_TRUE(first->policy == again->policy) << "the last policies differ";
}

/// Both sides of the joint objective, with all its terms: a dual weight, and the model's loss with
/// critic and classifier.
OneProcessOptions Joint() {
  OneProcessOptions options = Short(1);
  options.model.max_gradient_steps = 30;
  options.joint.emplace();
  options.joint->classifier.first_steps = 100;
  options.joint->classifier.fit_steps = 50;
  options.joint->classifier.seed = 5;
  options.joint->model_loss = {
      .value_weight = 0.01, .ratio_weight = 0.01, .ramp_steps = 50, .seed = 5};
  options.trainer.joint.emplace();
  options.trainer.joint->reward.kind = objective::RatioWeight::kDual;
  options.trainer.joint->reward.shift_from_data = true;
  options.trainer.joint->reward.terminal_reward = 0.001;
  return options;
}

TEST(Lockstep, WithTheJointObjectiveTheSameSeedGivesTheSameRunBitForBit) {
  const auto first = TrainInOneProcess(Joint());
  const auto again = TrainInOneProcess(Joint());
  const auto without = TrainInOneProcess(Short(1));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(first->evaluations.back().policy_updates, 1000);
  EXPECT_TRUE(first->model == again->model) << "the last models differ";
  EXPECT_TRUE(first->policy == again->policy) << "the last policies differ";
  EXPECT_NE(first->model.find("classifier.w0"), std::string::npos);
  EXPECT_EQ(without->model.find("classifier."), std::string::npos);
  EXPECT_EQ(without->policy.find("joint."), std::string::npos);
  EXPECT_NE(first->policy.find("joint.weight"), std::string::npos);
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
