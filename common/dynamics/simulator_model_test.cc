#include "common/dynamics/simulator_model.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/dynamics/imagination.h"
#include "common/dynamics/planted_error.h"
#include "common/env/simulation.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::dynamics {
namespace {

/// Random steps of an environment.
TransitionBatch Play(Environment& env, int steps) {
  const size_t obs = static_cast<size_t>(env.spec().observation.dim());
  TransitionBatch batch;
  batch.obs_dim = env.spec().observation.dim();
  batch.action_dim = env.spec().action.dim();
  std::vector<float> now(obs), next(obs);
  EXPECT_TRUE(env.Reset(1, now).ok());
  Rng rng(1);
  for (int t = 0; t < steps; ++t) {
    std::vector<float> action(static_cast<size_t>(batch.action_dim));
    for (float& a : action) a = static_cast<float>(rng.Uniform(-1, 1));
    const auto result = env.Step(action, next);
    EXPECT_TRUE(result.ok());
    batch.observations.insert(batch.observations.end(), now.begin(), now.end());
    batch.actions.insert(batch.actions.end(), action.begin(), action.end());
    batch.next_observations.insert(batch.next_observations.end(), next.begin(), next.end());
    batch.rewards.push_back(result->reward);
    batch.terminated.push_back(result->terminated ? 1 : 0);
    now = next;
    if (result->terminated || result->truncated) {
      EXPECT_TRUE(env.Reset(std::nullopt, now).ok());
    }
  }
  return batch;
}

class EverySimulator : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, EverySimulator, ::testing::ValuesIn(EnvironmentNames()),
                         [](const auto& info) { return info.param; });

/// How much the rounding of an observation may grow in a step: feet on the ground are stiff.
double Magnified(const std::string& name) {
  static const std::set<std::string> walkers = {"ant", "half_cheetah", "hopper", "humanoid",
                                                "walker2d"};
  return walkers.contains(name) ? 100 : 1;
}

TEST_P(EverySimulator, PredictsWhatTheEnvironmentDoes) {
  auto env = *MakeSimulation(GetParam());
  if (env->noisy() || GetParam() == "pusher") {  // whose object's speed is not shown
    EXPECT_TRUE(absl::IsFailedPrecondition(MakeSimulatorLearner(env->spec()).status()));
    return;
  }
  const TransitionBatch batch = Play(*env, 150);
  auto learner = *MakeSimulatorLearner(env->spec());
  ASSERT_TRUE(learner->Fit(batch, {}, {}).ok());
  auto model = *LoadDynamicsModel(learner->ExportModel(), env->spec(), "cpu");
  ASSERT_THAT(model->elites(), ::testing::ElementsAre(0));
  Rng rng(2);
  ModelStep step;
  ASSERT_TRUE(model->Step(batch.observations, batch.actions, rng, &step).ok());
  MemberPrediction prediction;
  ASSERT_TRUE(model->Predict(0, batch.observations, batch.actions, &prediction).ok());
  const size_t obs = static_cast<size_t>(batch.obs_dim);
  const double magnified = Magnified(GetParam());
  size_t unknown = 0;  // a clipped speed does not determine the state
  for (size_t i = 0; i < batch.rewards.size(); ++i) {
    if (std::isnan(step.rewards[i])) {
      const auto seen = std::span(batch.observations).subspan(i * obs, obs);
      EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](float x) { return std::abs(x) == 10; }));
      ++unknown;
      continue;
    }
    for (size_t j = 0; j < obs; ++j) {
      const float expected = batch.next_observations[i * obs + j];
      const double rounding = magnified * 2e-5 * std::max(1.0f, std::abs(expected));
      EXPECT_NEAR(step.next_observations[i * obs + j], expected, rounding);
      EXPECT_NEAR(prediction.next_means[i * obs + j], expected,
                  rounding + prediction.next_stds[i * obs + j]);
    }
    // An ant's reward also counts from where it was a moment before.
    EXPECT_NEAR(step.rewards[i], batch.rewards[i], GetParam() == "ant" ? 0.1 : magnified * 1e-4);
    EXPECT_EQ(step.terminated[i], batch.terminated[i]);
    EXPECT_EQ(prediction.termination_probs[i], batch.terminated[i]);
    EXPECT_GT(prediction.reward_stds[i], 0);
  }
  EXPECT_LT(unknown, batch.rewards.size());
  EXPECT_EQ(model->target_stds().size(), obs + 1);
}

TEST(SimulatorModel, ItsImaginedReturnIsTheRealOne) {
  auto env = *MakeEnvironment("cartpole_continuous");
  auto learner = *MakeSimulatorLearner(env->spec());
  ASSERT_TRUE(learner->Fit(Play(*env, 50), {}, {}).ok());
  auto model = *LoadDynamicsModel(learner->ExportModel(), env->spec(), "cpu");
  const auto act = [](std::span<const float> observations, std::span<float> actions) {
    for (size_t i = 0; i < actions.size(); ++i) actions[i] = observations[4 * i + 2] > 0 ? 1 : -1;
    return absl::OkStatus();
  };
  std::vector<float> starts, start(4), next(4), action(1);
  std::vector<double> real;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    ASSERT_TRUE(env->Reset(seed, start).ok());
    starts.insert(starts.end(), start.begin(), start.end());
    std::vector<float> now = start;
    double sum = 0;
    for (bool running = true; running;) {
      ASSERT_TRUE(act(now, action).ok());
      const StepResult result = *env->Step(action, now);
      sum += result.reward;
      running = !result.terminated && !result.truncated;
    }
    real.push_back(sum);
  }
  std::vector<double> imagined(5);
  Rng rng(1);
  const auto act_at = [&act](int64_t, std::span<const int64_t>, std::span<const float> observations,
                             std::span<float> actions) { return act(observations, actions); };
  ASSERT_TRUE(ImaginedReturns(*model, act_at, starts, 2, 200, rng, {}, imagined).ok());
  EXPECT_EQ(imagined, real);
}

TEST(SimulatorModel, CarriesAPlantedErrorAndGivesNanForWhatIsNotFinite) {
  auto env = *MakeEnvironment("pendulum");
  auto learner = *MakeSimulatorLearner(env->spec());
  nn::TensorFile file = learner->ExportModel();
  PlantedError{.reward = 5, .element = 2, .low = 1, .high = 2}.Export(&file);
  auto model = *LoadDynamicsModel(file, env->spec(), "cpu");
  const std::vector<float> observations = {1, 0, 0, 1, 0, 1.5f, 1, 0, 0};
  const std::vector<float> actions = {0, 0, std::nanf("")};
  Rng rng(1);
  ModelStep step;
  ASSERT_TRUE(model->Step(observations, actions, rng, &step).ok());
  EXPECT_NEAR(step.rewards[0], 0, 1e-6);
  EXPECT_NEAR(step.rewards[1], 5 - 0.1 * 1.5 * 1.5, 1e-5);
  EXPECT_TRUE(std::isnan(step.rewards[2]));
}

TEST(SimulatorModel, NeedsABuiltInEnvironmentOfTheSameSizes) {
  EnvironmentSpec spec = (*MakeEnvironment("pendulum"))->spec();
  const nn::TensorFile file = (*MakeSimulatorLearner(spec))->ExportModel();
  EXPECT_TRUE(LoadDynamicsModel(file, spec, "cpu").ok());
  EXPECT_TRUE((*MakeSimulatorLearner(spec))->LoadState(file).ok());
  spec.name = "nowhere";
  EXPECT_EQ(MakeSimulatorLearner(spec).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadDynamicsModel(file, spec, "cpu").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tandem::dynamics
