#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {
namespace {

using testing::HasSubstr;

// The index of an observed number that the start draws in proportion to its range: mostly a speed.
size_t ShownSpeed(const std::string& name, size_t obs_dim) {
  static const std::map<std::string, size_t> others = {{"ant", 26},
                                                       {"humanoid", 44},
                                                       {"inverted_double_pendulum", 7},
                                                       {"mountain_car", 0},
                                                       {"mountain_car_continuous", 0},
                                                       {"pusher", 13},
                                                       {"reacher", 7}};
  const auto found = others.find(name);
  return found == others.end() ? obs_dim - 1 : found->second;
}

// By random actions alone.
bool NeverEnds(const std::string& name) {
  static const std::set<std::string> names = {
      "gridworld",    "gridworld_wall", "mountain_car", "mountain_car_continuous",
      "half_cheetah", "maze",           "maze_sparse",  "maze_zigzag",
      "pendulum",     "pusher",         "reacher",      "swimmer"};
  return names.contains(name);
}

class EveryEnvironment : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<Environment>> made = MakeEnvironment(GetParam());
    ASSERT_TRUE(made.ok()) << made.status();
    env_ = *std::move(made);
    observation_.resize(static_cast<size_t>(env_->spec().observation.dim()));
    action_.resize(static_cast<size_t>(env_->spec().action.dim()));
  }
  // Every observation and reward of `steps` steps with small random actions, with resets.
  std::vector<float> Play(uint64_t seed, int steps) {
    std::vector<float> all;
    EXPECT_TRUE(env_->Reset(seed, observation_).ok());
    Rng rng(seed, "actions");
    for (int t = 0; t < steps; ++t) {
      for (float& a : action_) a = static_cast<float>(rng.Uniform(-0.1, 0.1));
      const absl::StatusOr<StepResult> result = env_->Step(action_, observation_);
      EXPECT_TRUE(result.ok()) << result.status();
      all.insert(all.end(), observation_.begin(), observation_.end());
      all.push_back(result->reward);
      if (result->ended()) {
        EXPECT_TRUE(env_->Reset(std::nullopt, observation_).ok());
      }
    }
    return all;
  }
  // What differs by the rounding of an observation; contacts magnify it.
  void ExpectAlike(const std::vector<float>& got, const std::vector<float>& expected, int t) {
    for (size_t j = 0; j < got.size(); ++j) {
      const float tolerance = 2e-5f * std::max(1.0f, std::abs(expected[j]));
      EXPECT_NEAR(got[j], expected[j], tolerance) << "element " << j << ", step " << t;
    }
  }
  std::unique_ptr<Environment> env_;
  std::vector<float> observation_;
  std::vector<float> action_;
};

INSTANTIATE_TEST_SUITE_P(All, EveryEnvironment, testing::ValuesIn(EnvironmentNames()),
                         [](const auto& info) { return info.param; });

TEST_P(EveryEnvironment, HasAValidSpecOfItsName) {
  EXPECT_TRUE(Validate(env_->spec()).ok());
  EXPECT_EQ(env_->spec().name, GetParam());
}

TEST_P(EveryEnvironment, AStepFromAnObservationIsTheStepFromItsState) {
  auto other = *MakeSimulation(GetParam());
  if (other->noisy()) GTEST_SKIP() << "a step draws random numbers";
  EXPECT_TRUE(env_->Reset(7, observation_).ok());
  std::vector<float> next(observation_.size());
  int compared = 0;
  Rng rng(7, "actions");
  for (int t = 0; t < 60; ++t) {
    for (float& a : action_) a = static_cast<float>(rng.Uniform(-1, 1));
    const absl::Status set = other->SetObservation(observation_);
    ASSERT_TRUE(set.ok() || absl::IsFailedPrecondition(set)) << set;
    const absl::StatusOr<StepResult> expected = env_->Step(action_, observation_);
    ASSERT_TRUE(expected.ok());
    if (set.ok()) {
      const absl::StatusOr<StepResult> got = other->Step(action_, next);
      ASSERT_TRUE(got.ok());
      ExpectAlike(next, observation_, t);
      EXPECT_NEAR(got->reward, expected->reward, GetParam() == "ant" ? 0.1 : 1e-3);
      EXPECT_EQ(got->terminated, expected->terminated);
      ++compared;
    }
    if (expected->ended()) {
      EXPECT_TRUE(env_->Reset(std::nullopt, observation_).ok());
    }
  }
  EXPECT_EQ(compared > 0, GetParam() != "pusher");  // whose object's speed is not shown
  EXPECT_EQ(other->SetObservation(std::vector<float>(1)).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(EveryEnvironment, AWiderStartScalesTheSpreadAndNotTheCentre) {
  if (GetParam() == "gridworld" || GetParam() == "gridworld_wall") {
    EXPECT_TRUE(absl::IsFailedPrecondition(env_->WidenStart(2)));
    return;
  }
  const size_t speed = ShownSpeed(GetParam(), observation_.size());
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<float> at;  // scale 1, 2, 3
    for (const double scale : {1, 2, 3}) {
      ASSERT_TRUE(env_->WidenStart(scale).ok());
      ASSERT_TRUE(env_->Reset(seed, observation_).ok());
      at.push_back(observation_[speed]);
    }
    EXPECT_NE(at[0], at[1]);
    EXPECT_NEAR(at[2] - at[1], at[1] - at[0], 1e-6);
  }
  EXPECT_EQ(env_->WidenStart(0).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(EveryEnvironment, SameSeedSameSteps) {
  const std::vector<float> first = Play(5, 500);
  EXPECT_EQ(Play(5, 500), first);
  EXPECT_NE(Play(6, 500), first);
}

TEST_P(EveryEnvironment, ResetWithoutASeedGoesOnWithTheStream) {
  if (absl::IsFailedPrecondition(env_->WidenStart(1))) GTEST_SKIP() << "all episodes begin alike";
  ASSERT_TRUE(env_->Reset(1, observation_).ok());
  const std::vector<float> first = observation_;
  ASSERT_TRUE(env_->Reset(std::nullopt, observation_).ok());
  EXPECT_NE(observation_, first);
}

TEST_P(EveryEnvironment, ActionsAreClipped) {
  ASSERT_TRUE(env_->Reset(1, observation_).ok());
  action_ = env_->spec().action.high;
  ASSERT_TRUE(env_->Step(action_, observation_).ok());
  const std::vector<float> at_bound = observation_;
  ASSERT_TRUE(env_->Reset(1, observation_).ok());
  for (float& a : action_) a *= 10;
  ASSERT_TRUE(env_->Step(action_, observation_).ok());
  EXPECT_EQ(observation_, at_bound);
}

TEST_P(EveryEnvironment, RefusesWhatDoesNotFit) {
  EXPECT_TRUE(absl::IsFailedPrecondition(env_->Step(action_, observation_).status()));
  ASSERT_TRUE(env_->Reset(1, observation_).ok());
  std::vector<float> long_action(action_.size() + 1), long_observation(observation_.size() + 1);
  EXPECT_EQ(env_->Step(long_action, observation_).status().message(),
            absl::StrCat(GetParam(), ": expected ", action_.size(), " numbers in the action, got ",
                         long_action.size()));
  EXPECT_TRUE(absl::IsInvalidArgument(env_->Step(action_, long_observation).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(env_->Reset(1, long_observation)));
  action_[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(std::string(env_->Step(action_, observation_).status().message()),
              HasSubstr("expected finite actions, got nan in element 0"));
  action_[0] = 0;
  EXPECT_TRUE(env_->Step(action_, observation_).ok());
}

TEST_P(EveryEnvironment, EndsAtTheLimitAndThenNeedsReset) {
  absl::StatusOr<std::unique_ptr<Environment>> made =
      MakeEnvironment(GetParam(), {.max_episode_steps = 3});
  ASSERT_TRUE(made.ok());
  env_ = *std::move(made);
  EXPECT_EQ(env_->spec().max_episode_steps, 3);
  for (int episode = 0; episode < 2; ++episode) {
    ASSERT_TRUE(env_->Reset(std::nullopt, observation_).ok());
    for (int t = 1; t <= 3; ++t) {
      const absl::StatusOr<StepResult> result = env_->Step(action_, observation_);
      ASSERT_TRUE(result.ok());
      EXPECT_FALSE(result->terminated);
      EXPECT_EQ(result->truncated, t == 3);
    }
    EXPECT_TRUE(absl::IsFailedPrecondition(env_->Step(action_, observation_).status()));
  }
}

TEST_P(EveryEnvironment, DivergenceIsAnErrorUntilReset) {
  auto& simulation = dynamic_cast<Simulation&>(*env_);
  const std::vector<double> state(simulation.state_dim(), std::numeric_limits<double>::quiet_NaN());
  ASSERT_TRUE(simulation.SetState(state, observation_).ok());
  EXPECT_TRUE(absl::IsInternal(env_->Step(action_, observation_).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(env_->Step(action_, observation_).status()));
  ASSERT_TRUE(env_->Reset(std::nullopt, observation_).ok());
  EXPECT_TRUE(env_->Step(action_, observation_).ok());
}

// The published termination function and the simulation agree on every step.
TEST_P(EveryEnvironment, KnownTerminationAgrees) {
  const absl::StatusOr<TerminationFunction> termination = KnownTermination(GetParam());
  ASSERT_TRUE(termination.ok());
  ASSERT_TRUE(env_->Reset(9, observation_).ok());
  Rng rng(9, "actions");
  int terminated = 0;
  for (int t = 0; t < 2000; ++t) {
    const float bound = env_->spec().action.high[0];
    for (float& a : action_) a = static_cast<float>(rng.Uniform(-bound, bound));
    const absl::StatusOr<StepResult> result = env_->Step(action_, observation_);
    ASSERT_TRUE(result.ok());
    uint8_t known = 9;
    (*termination)(observation_, env_->spec().observation.dim(), {&known, 1});
    ASSERT_EQ(known, result->terminated ? 1 : 0) << "step " << t;
    terminated += known;
    if (result->ended()) {
      ASSERT_TRUE(env_->Reset(std::nullopt, observation_).ok());
    }
  }
  EXPECT_EQ(terminated > 0, !NeverEnds(GetParam()));
}

TEST(KnownTermination, HoldsForTheSameTaskOfGymnasium) {
  EXPECT_EQ(*KnownTermination("gym:Hopper-v5"), *KnownTermination("hopper"));
  const absl::Status status = KnownTermination("gym:Other-v0").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(absl::IsNotFound(KnownTermination("Hopper-v5").status()));
}

TEST(KnownTermination, WorksOnBatches) {
  const float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> rows = {0, 0.19f, 0, 0, 0, -0.21f, 0, 0, kNan, 0, 0, 0, 5, 0, 9, 9};
  std::vector<uint8_t> out(4);
  (*KnownTermination("inverted_pendulum"))(rows, 4, out);
  EXPECT_EQ(out, (std::vector<uint8_t>{0, 1, 1, 0}));
  const std::vector<float> carts = {2.39f, 0, 0,    0, -2.41f, 0, 0,      0,
                                    0,     9, 0.2f, 0, 0,      0, -0.22f, 0};
  (*KnownTermination("cartpole_continuous"))(carts, 4, out);
  EXPECT_EQ(out, (std::vector<uint8_t>{0, 1, 0, 1}));
}

TEST(BuiltInNameOf, KnowsTheTasksOfGymnasium) {
  EXPECT_EQ(BuiltInNameOf("InvertedPendulum-v5"), "inverted_pendulum");
  EXPECT_EQ(BuiltInNameOf("Walker2d-v5"), "walker2d");
  EXPECT_EQ(BuiltInNameOf("Pendulum-v1"), "pendulum");
  EXPECT_EQ(BuiltInNameOf("CartPole-v1"), "cartpole");
  EXPECT_EQ(BuiltInNameOf("InvertedPendulum-v4"), std::nullopt);
  EXPECT_EQ(BuiltInNameOf(""), std::nullopt);
}

TEST(MakeEnvironment, UnknownNameNamesTheNearestAndAll) {
  const absl::Status status = MakeEnvironment("inverted_pendelum").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(
      status.message(),
      "unknown environment \"inverted_pendelum\"; did you mean \"inverted_pendulum\"? Known: " +
          absl::StrJoin(EnvironmentNames(), ", "));
  EXPECT_EQ(KnownTermination("inverted_pendelum").status(), status);
}

TEST(MakeEnvironment, UnknownNameSuggestsWhatMayBeMeant) {
  const auto told = [](const char* name) {
    return std::string(MakeEnvironment(name).status().message());
  };
  EXPECT_THAT(told("Hopper-v5"),
              testing::HasSubstr("did you mean \"hopper\", which is built in, or "
                                 "\"gym:Hopper-v5\"? Known: acrobot"));
  EXPECT_THAT(told("LunarLander-v3"), testing::HasSubstr("did you mean \"gym:LunarLander-v3\"?"));
  for (const char* name : {"ball", "nosuch", "ball-vase"}) {
    EXPECT_THAT(told(name), testing::AllOf(testing::HasSubstr("\"; known: acrobot"),
                                           testing::Not(testing::HasSubstr("did you mean"))));
  }
}

TEST(MakeEnvironment, MissingModelFileNamesBothFolders) {
  setenv("TANDEM_MUJOCO_ASSETS", "/no/such/folder", 1);
  const absl::Status status = MakeEnvironment("inverted_pendulum").status();
  unsetenv("TANDEM_MUJOCO_ASSETS");
  EXPECT_TRUE(absl::IsNotFound(status));
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("/no/such/folder/inverted_pendulum.xml does not exist"));
  EXPECT_THAT(message, HasSubstr("gymnasium/envs/mujoco/assets"));
}

}  // namespace
}  // namespace tandem
