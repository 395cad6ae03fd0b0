#include "common/clients/remote_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "common/clients/testing/scripted_server_fixture.h"

namespace tandem::clients {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Over a stream of gRPC, or over frames.
class RemoteEnvironmentTest : public ScriptedServerTest, public testing::WithParamInterface<bool> {
 protected:
  RemoteEnvironmentTest() {
    source_.step_timeout = absl::Milliseconds(300);
    server_->offers_frames = server_->takes_frames = GetParam();
  }

  /// Steps, with actions that depend on `t` alone.
  std::vector<Outcome> Step(int t) {
    std::vector<float> actions;
    for (int i = 0; i < kEnvs; ++i)
      actions.push_back(0.1f * static_cast<float>((t + i) % 7) - 0.3f);
    const absl::Status status = env_->Step(actions);
    EXPECT_TRUE(status.ok()) << status;
    const auto outcomes = env_->outcomes();
    return {outcomes.begin(), outcomes.end()};
  }
  /// All that came of some steps, in numbers.
  std::vector<float> Play(int begin, int end) {
    std::vector<float> seen;
    for (int t = begin; t < end; ++t) {
      EXPECT_THAT(Step(t), Each(Outcome::kStepped)) << "step " << t;
      seen.insert(seen.end(), env_->observations().begin(), env_->observations().end());
      for (int i = 0; i < kEnvs; ++i) {
        const StepResult& result = env_->results()[static_cast<size_t>(i)];
        seen.push_back(result.reward);
        if (!result.terminated && !result.truncated) continue;
        const auto last = env_->final_observations().subspan(static_cast<size_t>(i) * 2, 2);
        seen.insert(seen.end(), {result.terminated ? 1.0f : 2.0f, last[0], last[1]});
      }
    }
    return seen;
  }
  /// Steps until all run again, 10 s at most.
  void AwaitStart() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do {
      const auto outcomes = Step(0);
      if (outcomes[0] == Outcome::kStarted) {
        EXPECT_THAT(outcomes, Each(Outcome::kStarted));
        return;
      }
      EXPECT_THAT(outcomes, Each(Outcome::kAbsent));
    } while (std::chrono::steady_clock::now() < deadline);
    FAIL() << "no new session";
  }
  void ExpectOneFault(FaultKind kind, const std::string& text) {
    const auto faults = env_->TakeFaults();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].kind, kind) << FaultName(faults[0].kind);
    EXPECT_THAT(faults[0].message, HasSubstr(text));
  }
};

TEST_P(RemoteEnvironmentTest, StepsAndEndsEpisodesAsItsServerDoes) {
  Connect();
  EXPECT_EQ(env_->spec().name, "scripted");
  EXPECT_EQ(env_->spec().observation.dim(), 2);
  EXPECT_THAT(env_->outcomes(), Each(Outcome::kStarted));
  for (int t = 0; t < 6; ++t) Step(t);
  const float x = env_->observations()[0];
  Step(6);
  const StepResult first = env_->results()[0], second = env_->results()[1];
  EXPECT_TRUE(first.terminated && !first.truncated);
  EXPECT_TRUE(!second.terminated && second.truncated);
  EXPECT_FLOAT_EQ(first.reward, 0.9f * x + 0.3f);
  EXPECT_THAT(env_->final_observations().first(2), ElementsAre(first.reward, 7));
  EXPECT_EQ(env_->observations()[1], 0) << "the next episode has begun";
  EXPECT_TRUE(env_->TakeFaults().empty());
  EXPECT_EQ(server_->frame_connections(), GetParam() ? 1 : 0);
}

TEST_P(RemoteEnvironmentTest, TheSameSeedPlaysTheSameAgain) {
  Connect();
  const auto first = Play(0, 20);
  ASSERT_TRUE(env_->ResetAll(kSeed).ok());
  EXPECT_THAT(env_->outcomes(), Each(Outcome::kStarted));
  EXPECT_EQ(Play(0, 20), first);
  EXPECT_FALSE(env_->Step(std::vector<float>(kEnvs + 1)).ok());
}

TEST_P(RemoteEnvironmentTest, ABrokenStreamLosesNothingAndStepsNothingTwice) {
  Connect();
  const auto uninterrupted = Play(0, 30);
  const int64_t steps = server_->steps();
  ASSERT_TRUE(env_->ResetAll(kSeed).ok());
  std::vector<float> seen;
  for (int t = 0; t < 30; ++t) {
    if (t % 5 == 1) server_->SabotageNext(Sabotage::kDropAfter);
    if (t % 5 == 3) server_->SabotageNext(Sabotage::kDropBefore);
    if (t % 5 == 4 && GetParam()) server_->SabotageNext(Sabotage::kCutFrame);
    const auto step = Play(t, t + 1);
    seen.insert(seen.end(), step.begin(), step.end());
  }
  EXPECT_EQ(seen, uninterrupted);
  EXPECT_EQ(server_->steps(), 2 * steps);
  EXPECT_EQ(server_->open_sessions(), 1u);
  EXPECT_TRUE(env_->TakeFaults().empty());
}

TEST_P(RemoteEnvironmentTest, ALostSessionIsReplacedByANewOne) {
  Connect();
  Play(0, 3);
  server_->SabotageNext(Sabotage::kForget);
  EXPECT_THAT(Step(3), Each(Outcome::kLost));
  ExpectOneFault(FaultKind::kVanished, "no such session");
  AwaitStart();
  EXPECT_EQ(env_->observations()[1], 0);
  Play(0, 10);
  EXPECT_EQ(server_->open_sessions(), 1u);
}

TEST_P(RemoteEnvironmentTest, AServerThatComesBackIsTakenUpAgain) {
  Connect();
  Play(0, 3);
  server_->Stop();
  EXPECT_THAT(Step(3), Each(Outcome::kLost));
  ExpectOneFault(FaultKind::kVanished, source_.server);
  for (int t = 0; t < 3; ++t) EXPECT_THAT(Step(t), Each(Outcome::kAbsent));
  ASSERT_TRUE(env_->ResetAll(kSeed).ok()) << "is heeded when the server is back";
  EXPECT_THAT(env_->outcomes(), Each(Outcome::kAbsent));
  ASSERT_TRUE(server_->Start());
  AwaitStart();
  const auto seen = Play(0, 10);
  ASSERT_TRUE(env_->ResetAll(kSeed).ok());
  EXPECT_EQ(Play(0, 10), seen);
}

TEST_P(RemoteEnvironmentTest, AHungServerIsAFaultWithinTheStepsTime) {
  source_.reset_timeout = absl::Milliseconds(500);
  Connect();
  Play(0, 3);
  server_->SabotageNext(Sabotage::kHang);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Step(3), Each(Outcome::kLost));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
  ExpectOneFault(FaultKind::kHung, "no answer");
  AwaitStart();
  EXPECT_EQ(server_->open_sessions(), 1u) << "the hung session was given back";
}

TEST_P(RemoteEnvironmentTest, NonsenseLosesAllAndSaysWhy) {
  Connect();
  std::vector<std::pair<Sabotage, const char*>> cases = {
      {Sabotage::kShortColumn, "rewards: expected 12 bytes, got 11"},
      {Sabotage::kBadOutcome, "outcomes: expected 0 to 3, got 9"},
      {Sabotage::kWrongStepId, "expected the answer to step"},
      {Sabotage::kGarbage, "an answer that cannot be read"},
  };
  if (GetParam()) cases.emplace_back(Sabotage::kNoFrame, "expected a frame");
  for (const auto& [sabotage, text] : cases) {
    Play(0, 2);
    server_->SabotageNext(sabotage);
    EXPECT_THAT(Step(2), Each(Outcome::kLost)) << text;
    ExpectOneFault(FaultKind::kWrongShape, text);
    AwaitStart();
  }
}

TEST_P(RemoteEnvironmentTest, ASessionThatFailsAgainAndAgainIsOpenedEverMoreSeldom) {
  Connect();
  const auto play_nonsense = [&](std::chrono::milliseconds time) {
    size_t faults = 0;
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      if (env_->outcomes()[0] == Outcome::kStarted) server_->SabotageNext(Sabotage::kBadOutcome);
      Step(0);
      faults += env_->TakeFaults().size();
    }
    return faults;
  };
  const size_t faults = play_nonsense(std::chrono::milliseconds(1500));
  EXPECT_GE(faults, 4u);
  EXPECT_LE(faults, 6u) << "at once, after 0.05 to 0.1 s, twice that, and so on";
  if (env_->outcomes()[0] != Outcome::kStarted) AwaitStart();
  Play(0, 100);  // what failed is forgotten
  server_->SabotageNext(Sabotage::kBadOutcome);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(Step(0), Each(Outcome::kLost));
  AwaitStart();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(700));
}

TEST_P(RemoteEnvironmentTest, AnErrorOfTheServersIsNoNonsense) {
  Connect();
  server_->SabotageNext(Sabotage::kInternal);
  EXPECT_THAT(Step(0), Each(Outcome::kLost));
  ExpectOneFault(FaultKind::kException, "no disk");
  AwaitStart();
}

TEST_P(RemoteEnvironmentTest, AStepInWhichAnEpisodeIsResetMayTakeThatLongMore) {
  source_.reset_timeout = absl::Seconds(5);
  Connect();
  Play(0, 6);
  server_->SabotageNext(Sabotage::kSlow);
  EXPECT_THAT(Step(6), Each(Outcome::kStepped));
  EXPECT_TRUE(env_->TakeFaults().empty());
}

TEST_P(RemoteEnvironmentTest, NumbersThatAreNotFiniteLoseOneEnvironment) {
  Connect();
  Play(0, 2);
  server_->SabotageNext(Sabotage::kNotFinite, 1);
  EXPECT_THAT(Step(2), ElementsAre(Outcome::kStepped, Outcome::kLost, Outcome::kStepped));
  ExpectOneFault(FaultKind::kNotFinite, "not finite");
  EXPECT_THAT(Step(3), ElementsAre(Outcome::kStepped, Outcome::kAbsent, Outcome::kStepped));
  EXPECT_THAT(Step(4), ElementsAre(Outcome::kStepped, Outcome::kStarted, Outcome::kStepped));
  EXPECT_EQ(env_->observations()[3], 0);
  Play(5, 20);
}

TEST_P(RemoteEnvironmentTest, AnEpisodeThatCannotBeginCountsAsLostInTheStepAfter) {
  Connect();
  Play(0, 2);
  server_->SabotageNext(Sabotage::kBadFinal, 1);
  EXPECT_THAT(Step(2), Each(Outcome::kStepped));
  EXPECT_TRUE(env_->results()[1].truncated);
  EXPECT_EQ(env_->final_observations()[3], 3);
  ExpectOneFault(FaultKind::kNotFinite, "not finite");
  EXPECT_THAT(Step(3), ElementsAre(Outcome::kStepped, Outcome::kLost, Outcome::kStepped));
  EXPECT_THAT(Step(4), ElementsAre(Outcome::kStepped, Outcome::kAbsent, Outcome::kStepped));
  EXPECT_THAT(Step(5), ElementsAre(Outcome::kStepped, Outcome::kStarted, Outcome::kStepped));
  Play(6, 10);
  EXPECT_EQ(server_->restarts(), 1);
}

TEST_P(RemoteEnvironmentTest, AnEnvironmentLostByTheServerComesBack) {
  Connect();
  server_->SabotageNext(Sabotage::kLose, 2);
  EXPECT_THAT(Step(0), ElementsAre(Outcome::kStepped, Outcome::kStepped, Outcome::kLost));
  const auto faults = env_->TakeFaults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].env, 2);
  EXPECT_EQ(faults[0].message, "ValueError: no");
  EXPECT_EQ(Step(1)[2], Outcome::kStarted);
}

TEST_P(RemoteEnvironmentTest, StopEndsAWait) {
  source_.step_timeout = absl::Seconds(60);
  Connect();
  server_->SabotageNext(Sabotage::kHang);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    env_->Stop();
  });
  EXPECT_TRUE(absl::IsCancelled(env_->Step(std::vector<float>(kEnvs))));
  stopper.join();
  EXPECT_TRUE(absl::IsCancelled(env_->Step(std::vector<float>(kEnvs))));
  EXPECT_TRUE(absl::IsCancelled(env_->ResetAll()));
}

TEST_P(RemoteEnvironmentTest, StopEndsTheWaitForAServer) {
  Connect();
  server_->Stop();
  Step(0);
  env_->Stop();
  EXPECT_TRUE(absl::IsCancelled(env_->Step(std::vector<float>(kEnvs))));
}

TEST_P(RemoteEnvironmentTest, AnotherEnvironmentInItsPlaceIsAnErrorForGood) {
  Connect();
  server_->Stop();
  EXPECT_THAT(Step(0), Each(Outcome::kLost));
  server_->edit_description = [](auto* message) { message->set_name("stranger"); };
  ASSERT_TRUE(server_->Start());
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = env_->Step(std::vector<float>(kEnvs));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("stranger"));
}

TEST_P(RemoteEnvironmentTest, AServerThatIsNotItselfYetIsTriedAgain) {
  Connect();
  server_->Stop();
  EXPECT_THAT(Step(0), Each(Outcome::kLost));
  std::atomic<int> asked{0};
  server_->edit_description = [&](auto* message) {
    if (asked++ == 0) message->clear_observation();
  };
  ASSERT_TRUE(server_->Start());
  AwaitStart();
  EXPECT_GE(asked, 2);
}

TEST_P(RemoteEnvironmentTest, ANewSessionThatNobodyTookIsGivenBack) {
  Connect();
  server_->SabotageNext(Sabotage::kForget);
  EXPECT_THAT(Step(0), Each(Outcome::kLost));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (server_->open_sessions() == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(server_->open_sessions(), 1u);
  env_.reset();
  EXPECT_EQ(server_->open_sessions(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Streams, RemoteEnvironmentTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Frames" : "Grpc"; });

}  // namespace
}  // namespace tandem::clients
