#include "services/actor/core/environment_health.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/actor/core/testing/failing_environments.h"

namespace tandem::actor {
namespace {

using enum Outcome;

class Health : public testing::Test {
 protected:
  // Plays the script of one environment, with so much time before each step.
  void Play(const std::vector<Outcome>& outcomes, absl::Duration pause) {
    FailingEnvironments::Script script;
    for (const Outcome outcome : outcomes) script.push_back({outcome});
    FailingEnvironments env(1, 100, script);
    for (size_t t = 0; t < outcomes.size(); ++t) {
      clock_.Advance(pause);
      ASSERT_TRUE(env.Step(std::vector<float>{0}).ok());
      health_.Note(env);
    }
  }
  void SetUp() override {
    health_.OnChange([this](bool healthy) { changes_.push_back(healthy); });
  }
  bool PageHas(const std::string& line) const {
    return registry_.Page().find(line + "\n") != std::string::npos;
  }

  metrics::Registry registry_;
  FakeClock clock_;
  EnvironmentHealth health_{
      {.max_failures = 3, .failure_window = absl::Seconds(60)}, clock_, registry_};
  std::vector<bool> changes_;
};

TEST_F(Health, TooManyFailuresInAShortTimeAreUnhealthyUntilAStep) {
  EXPECT_TRUE(PageHas("tandem_actor_environment_healthy 1"));
  EXPECT_TRUE(PageHas("tandem_actor_environment_faults_total{kind=\"hung\"} 0"));
  Play({kStepped, kLost, kStarted, kLost, kStarted}, absl::Seconds(10));
  EXPECT_TRUE(health_.healthy());
  Play({kStepped, kLost}, absl::Seconds(10));
  EXPECT_FALSE(health_.healthy());
  EXPECT_TRUE(PageHas("tandem_actor_environment_healthy 0"));
  EXPECT_TRUE(PageHas("tandem_actor_environment_faults_total{kind=\"crashed\"} 3"));
  Play({kAbsent, kLost, kAbsent, kStarted}, absl::Seconds(10));
  EXPECT_EQ(changes_, (std::vector{false})) << "told once; a start is no step";
  Play({kStepped}, absl::Seconds(10));
  EXPECT_EQ(changes_, (std::vector{false, true}));
  EXPECT_TRUE(PageHas("tandem_actor_environment_healthy 1"));
  Play({kLost, kStarted, kLost, kStarted}, absl::Seconds(1));
  EXPECT_TRUE(health_.healthy()) << "what was before the good step is forgotten";
}

TEST_F(Health, FailuresThatAreFarApartAreHealthy) {
  for (int i = 0; i < 10; ++i) Play({kLost, kStarted, kStepped}, absl::Seconds(11));
  EXPECT_TRUE(changes_.empty()) << "33 s from one to the next, 66 s for three";
}

TEST_F(Health, TheLogHoldsTheLastWordsInOneLine) {
  testing::internal::CaptureStderr();
  Play({kLost, kStarted, kLost, kStarted, kLost}, absl::Seconds(1));
  const std::string log = testing::internal::GetCapturedStderr();
  const size_t error = log.find(" E ");
  ASSERT_NE(error, std::string::npos) << log;
  const std::string line = log.substr(error, log.find('\n', error) - error);
  EXPECT_NE(line.find("failed 3 times within 1m"), std::string::npos) << line;
  EXPECT_NE(line.find("crashed: exit code 3 | Traceback: no memory"), std::string::npos) << line;
  EXPECT_EQ(log.find(" E ", error + 3), std::string::npos) << "one error";
}

}  // namespace
}  // namespace tandem::actor
