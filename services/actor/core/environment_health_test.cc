#include "services/actor/core/environment_health.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/trouble.h"
#include "services/actor/core/testing/failing_environments.h"

namespace tandem::actor {
namespace {

using enum Outcome;

class Health : public testing::Test {
 protected:
  using Script = FailingEnvironments::Script;

  void SetUp() override {
    ClearTrouble("environment");
    health_.OnChange([this](bool healthy) { changes_.push_back(healthy); });
  }
  // Steps `env`, with so much time before each step.
  void Play(FailingEnvironments& env, int steps, absl::Duration pause) {
    const std::vector<float> actions(static_cast<size_t>(env.num_envs()));
    for (int t = 0; t < steps; ++t) {
      clock_.Advance(pause);
      ASSERT_TRUE(env.Step(actions).ok());
      health_.Note(env, env.TakeFaults());
    }
  }
  bool PageHas(const std::string& line) const {
    return registry_.Page().find(line + "\n") != std::string::npos;
  }

  metrics::Registry registry_;
  FakeClock clock_;
  EnvironmentHealth health_{
      {.max_failures = 3, .failure_window = absl::Seconds(60), .standstill = absl::Seconds(100)},
      clock_,
      registry_};
  std::vector<bool> changes_;
};

TEST_F(Health, TooManyFailuresInAShortTimeAreUnhealthyUntilTheyArePast) {
  FailingEnvironments env(1, 100, {{kStepped}, {kLost}, {kStarted}, {kLost}, {kStarted}, {kLost}});
  EXPECT_TRUE(PageHas("tandem_actor_environment_healthy 1"));
  EXPECT_TRUE(PageHas("tandem_actor_environment_faults_total{kind=\"hung\"} 0"));
  Play(env, 5, absl::Seconds(10));
  EXPECT_TRUE(health_.healthy());
  Play(env, 1, absl::Seconds(10));
  EXPECT_FALSE(health_.healthy());
  EXPECT_TRUE(PageHas("tandem_actor_environment_healthy 0"));
  EXPECT_TRUE(PageHas("tandem_actor_environment_faults_total{kind=\"crashed\"} 3"));
  Play(env, 2, absl::Seconds(10));
  EXPECT_FALSE(health_.healthy()) << "it runs again, and three failures lie within the minute";
  Play(env, 1, absl::Seconds(10));
  EXPECT_EQ(changes_, (std::vector{false, true})) << "two of them do";
  EXPECT_TRUE(PageHas("tandem_actor_environment_healthy 1"));
}

TEST_F(Health, FailuresThatAreFarApartAreHealthy) {
  Script script;
  for (int i = 0; i < 10; ++i) script.insert(script.end(), {{kLost}, {kStarted}, {kStepped}});
  FailingEnvironments env(1, 100, script);
  Play(env, 30, absl::Seconds(11));
  EXPECT_TRUE(changes_.empty()) << "33 s from one to the next, 66 s for three";
}

TEST_F(Health, OneCallIsOneFailure) {
  FailingEnvironments env(4, 100,
                          {{kLost, kLost, kLost, kLost},
                           {kStarted, kStarted, kStarted, kStarted},
                           {kLost, kLost, kLost, kLost}});
  Play(env, 3, absl::Seconds(1));
  EXPECT_TRUE(health_.healthy());
  EXPECT_TRUE(PageHas("tandem_actor_environment_faults_total{kind=\"crashed\"} 8"));
}

TEST_F(Health, AGoodEvaluationDoesNotHideADeadTraining) {
  Script dead = {{kLost}, {kStarted}, {kLost}, {kStarted}, {kLost}};
  dead.insert(dead.end(), 5, {kAbsent});
  FailingEnvironments training(1, 100, dead), evaluation(1, 100, {});
  Play(training, 5, absl::Seconds(1));
  EXPECT_FALSE(health_.healthy());
  Play(training, 5, absl::Seconds(15));
  Play(evaluation, 5, absl::Seconds(1));
  EXPECT_FALSE(health_.healthy());
  Play(training, 1, absl::Seconds(1));
  EXPECT_FALSE(health_.healthy()) << "a start is no step";
  Play(training, 1, absl::Seconds(1));
  EXPECT_TRUE(health_.healthy());
}

TEST_F(Health, AStandstillIsUnhealthyAfterOneFailure) {
  Script script = {{kStepped, kStepped}, {kLost, kStepped}};
  script.insert(script.end(), 3, {kAbsent, kStepped});
  script.insert(script.end(), 5, {kAbsent, kLost});
  FailingEnvironments env(2, 100, script);
  Play(env, 5, absl::Seconds(99));
  Play(env, 1, absl::Seconds(99));
  EXPECT_TRUE(health_.healthy()) << "one of two ran";
  Play(env, 1, absl::Seconds(99));
  EXPECT_TRUE(health_.healthy());
  Play(env, 1, absl::Seconds(1));
  EXPECT_EQ(changes_, std::vector{false});
  Play(env, 4, absl::Seconds(100));
  EXPECT_EQ(changes_, (std::vector{false, true}));
}

TEST_F(Health, EnvironmentsThatAreSteppedNoMoreDoNotCount) {
  FailingEnvironments warmup(1, 100, std::vector<std::vector<Outcome>>(20, {kLost}));
  FailingEnvironments training(1, 100, {});
  Play(warmup, 1, absl::Seconds(1));
  health_.Forget(warmup);
  Play(training, 20, absl::Seconds(10));
  EXPECT_TRUE(health_.healthy()) << "it stands still no longer";
}

TEST_F(Health, TheLogHoldsTheLastWordsInOneLine) {
  FailingEnvironments env(
      2, 100,
      {{kLost, kLost}, {kStarted, kStarted}, {kLost, kLost}, {kStarted, kStarted}, {kLost, kLost}});
  testing::internal::CaptureStderr();
  Play(env, 5, absl::Seconds(1));
  const std::string log = testing::internal::GetCapturedStderr();
  const size_t error = log.find(" E ");
  ASSERT_NE(error, std::string::npos) << log;
  const std::string line = log.substr(error, log.find('\n', error) - error);
  EXPECT_NE(line.find("failed 3 times within 1m"), std::string::npos) << line;
  EXPECT_NE(line.find("crashed: exit code 3 | Traceback: no memory"), std::string::npos) << line;
  EXPECT_NE(log.find("no memory; and 1 other failures"), std::string::npos) << log;
  EXPECT_EQ(log.find(" E ", error + 3), std::string::npos) << "one error";
}

TEST_F(Health, AStandstillOfASecondIsTroubleUntilAStep) {
  FailingEnvironments env(1, 100, {{kStepped}, {kLost}, {kAbsent}, {kAbsent}, {kStarted}});
  Play(env, 3, absl::Milliseconds(400));
  EXPECT_TRUE(Troubles().empty()) << "it is down for 0.4 s";
  Play(env, 2, absl::Milliseconds(400));
  EXPECT_EQ(Troubles(),
            std::vector<std::string>{"environment 0 failed: exit code 3 ... Traceback: no memory"});
  EXPECT_TRUE(health_.healthy());
  Play(env, 1, absl::Seconds(1));
  EXPECT_TRUE(Troubles().empty());
}

TEST_F(Health, TroubleCountsTheFailuresAndTellsWhetherItRunsAgain) {
  Script script;
  for (int i = 0; i < 4; ++i) script.insert(script.end(), {{kLost}, {kStarted}});
  FailingEnvironments env(1, 100, script);
  Play(env, 8, absl::Seconds(1));
  EXPECT_EQ(Troubles(),
            std::vector<std::string>{
                "environment 0 failed 4 times, last: exit code 3 ... Traceback: no memory"});
  Play(env, 1, absl::Seconds(1));
  EXPECT_FALSE(health_.healthy());
  EXPECT_EQ(Troubles(), std::vector<std::string>{
                            "environment 0 failed 4 times, last: exit code 3 ... Traceback: no "
                            "memory; it runs again"});
  Play(env, 60, absl::Seconds(1));
  EXPECT_TRUE(health_.healthy());
  EXPECT_TRUE(Troubles().empty());
}

TEST_F(Health, AnEvaluationThatIsLeftWithAllDownIsNoTroubleOfTheTraining) {
  FailingEnvironments training(1, 100, {}), evaluation(1, 100, Script(20, {kLost}));
  Play(training, 1, absl::Seconds(1));
  Play(evaluation, 2, absl::Seconds(1));
  EXPECT_EQ(Troubles().size(), 1u);
  health_.Forget(evaluation);
  Play(training, 1, absl::Seconds(1));
  EXPECT_TRUE(Troubles().empty());
}

TEST_F(Health, TroubleOfSeveralIsNotSaidOfOne) {
  FailingEnvironments env(2, 100,
                          {{kLost, kStepped},
                           {kStarted, kLost},
                           {kLost, kAbsent},
                           {kStarted, kAbsent},
                           {kStepped, kStarted}});
  Play(env, 4, absl::Seconds(1));
  EXPECT_FALSE(health_.healthy());
  EXPECT_EQ(
      Troubles(),
      std::vector<std::string>{"environment 0 failed, with others 3 times, last: exit code 3 ... "
                               "Traceback: no memory"})
      << "the other is still down";
  Play(env, 2, absl::Seconds(1));
  ASSERT_EQ(Troubles().size(), 1u);
  EXPECT_TRUE(Troubles()[0].ends_with("; it runs again")) << Troubles()[0];
}

TEST_F(Health, TheLogIsNotFlooded) {
  FailingEnvironments env(1, 100, Script(1000, {kLost}));
  testing::internal::CaptureStderr();
  Play(env, 1000, absl::Milliseconds(1));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'), 8) << log;
  EXPECT_TRUE(PageHas("tandem_actor_environment_faults_total{kind=\"crashed\"} 1000"));
}

}  // namespace
}  // namespace tandem::actor
