// The actor among environments that fail.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "services/actor/core/testing/actor_run.h"
#include "services/actor/core/testing/failing_environments.h"

namespace tandem::actor {
namespace {

using enum Outcome;
using Script = FailingEnvironments::Script;

std::unique_ptr<VectorEnvironment> Failing(int num_envs, int length, Script script) {
  return std::make_unique<FailingEnvironments>(num_envs, length, std::move(script));
}

TEST(ActorFaults, AGrantCountsTheStepsThatWereTaken) {
  const Script script = {{kStepped, kStepped},
                         {kLost, kStepped},
                         {kAbsent, kStepped},
                         {kAbsent, kStepped},
                         {kStarted, kStepped}};
  Actor actor(Failing(2, 100, script), Counting({2}));
  actor.replay.AddGrant(RandomSteps(10));
  actor.Run();
  EXPECT_EQ(actor.StoredSteps(), 10);
  ASSERT_EQ(actor.Episodes().size(), 1u);
  EXPECT_EQ(actor.Episodes()[0].length, 1) << "ended with the last good step";
  EXPECT_FALSE(actor.Episodes()[0].terminated);
  EXPECT_EQ(actor.Episodes()[0].failure, "crashed");
  std::set<uint64_t> ids;
  for (const Segment& segment : actor.Segments()) ids.insert(segment.episode_id);
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_TRUE(actor.PageHas("tandem_actor_env_steps_total{purpose=\"training\"} 10"));
  EXPECT_TRUE(actor.PageHas("tandem_actor_environment_faults_total{kind=\"crashed\"} 1"));
}

// final_observations holds nothing of an episode that goes on.
TEST(ActorFaults, EachStepIsFollowedByWhatWasObservedAfterIt) {
  Actor actor(Failing(1, 3, {}), Counting({2}));
  actor.replay.AddGrant(RandomSteps(3));
  actor.Run();
  std::vector<float> observations;
  for (const Segment& segment : actor.Segments()) {
    const size_t shared = observations.empty() ? 0 : 2;  // with the segment before
    observations.insert(observations.end(), segment.observations.begin() + shared,
                        segment.observations.end());
  }
  const float episode = observations[0];
  EXPECT_EQ(observations, (std::vector<float>{episode, 0, episode, 1, episode, 2, episode, 3}));
}

TEST(ActorFaults, AGrantIsNotOverrun) {
  for (int lost_at = 0; lost_at < 4; ++lost_at) {
    Script script(static_cast<size_t>(lost_at), {kStepped, kStepped, kStepped});
    script.push_back({kStepped, kLost, kStepped});
    Actor actor(Failing(3, 100, script), Counting({2}));
    actor.replay.AddGrant(RandomSteps(11));
    actor.Run();
    EXPECT_LE(actor.StoredSteps(), 11) << lost_at;
    EXPECT_GE(actor.StoredSteps(), 9) << lost_at;
  }
}

// It asks again now and then, and pauses, instead of spinning in the grant.
TEST(ActorFaults, WithoutAnyEnvironmentItWaitsAndAsksAgain) {
  auto env = std::make_unique<FailingEnvironments>(1, 100, Script(1000, {kAbsent}));
  const FailingEnvironments& calls = *env;
  Actor actor(std::move(env), Counting({2}));
  for (int i = 0; i < 1000; ++i) actor.replay.AddGrant(RandomSteps(5));
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(450));
  actor.core.Stop();
  run.join();
  EXPECT_GE(actor.replay.progress().size(), 2u);
  EXPECT_LE(calls.calls(), 10 + 5);
  EXPECT_EQ(actor.StoredSteps(), 0);
}

TEST(ActorFaults, ALostEvaluationEpisodeIsPlayedAgain) {
  const Script script = {{kStepped, kStepped}, {kStepped, kLost}, {kStepped, kAbsent}};
  Actor actor(Counting({3}), Failing(2, 3, script));
  actor.policies.Publish(500);
  actor.replay.AddGrant(Evaluation(100, 500));
  actor.Run();
  const std::vector<Episode> episodes = actor.Episodes();
  ASSERT_EQ(episodes.size(), 2u);
  for (const Episode& episode : episodes) {
    EXPECT_EQ(episode.length, 3);
    EXPECT_TRUE(episode.terminated);
    EXPECT_EQ(episode.evaluation_size, 2);
  }
  EXPECT_EQ(episodes[0].initial_observation[0], 2) << "the first after the evaluation's reset";
  EXPECT_EQ(episodes[1].initial_observation[0], 3) << "the next one";
  EXPECT_TRUE(actor.PageHas("tandem_actor_evaluation_return 1.5"));
}

TEST(ActorFaults, TellsWhenItIsUnhealthyAndWhenItIsWellAgain) {
  ActorOptions options = Actor::Options();
  options.health.max_failures = 3;
  options.health.failure_window = absl::Milliseconds(500);
  Script script = {{kLost}, {kStarted}, {kLost}, {kStarted}, {kStepped}, {kLost}};
  // After ten of these each takes 100 ms: the failures leave the window.
  script.insert(script.end(), 17, {kAbsent});
  Actor actor(Failing(1, 100, script), Counting({2}), options);
  for (int i = 0; i < 20; ++i) actor.replay.AddGrant(RandomSteps(1));
  actor.replay.StopWhenOutOfGrants();
  std::vector<bool> told;
  EXPECT_TRUE(actor.core.Run([&](bool healthy) { told.push_back(healthy); }).ok());
  EXPECT_EQ(told, (std::vector{false, true}));
  EXPECT_GE(actor.StoredSteps(), 5);
  EXPECT_TRUE(actor.PageHas("tandem_actor_environment_healthy 1"));
}

// The next grant tells whether it is still wanted.
TEST(ActorFaults, AnEvaluationWithoutStepsIsGivenUp) {
  ActorOptions options = Actor::Options();
  options.health.standstill = absl::Milliseconds(150);
  options.record_evaluation_steps = true;
  Script script = {{kStepped, kStepped}, {kStepped, kLost}};
  script.insert(script.end(), 14, {kStepped, kAbsent});
  script.insert(script.end(), 12, {kAbsent, kAbsent});
  Actor actor(Counting({3}), Failing(2, 3, script), options);
  actor.policies.Publish(500);
  actor.replay.AddGrant(Evaluation(100, 500));
  actor.replay.AddGrant(RandomSteps(2));
  actor.replay.AddGrant(Evaluation(100, 500));
  actor.Run();
  const std::vector<Episode> episodes = actor.Episodes();
  ASSERT_EQ(episodes.size(), 2u) << "those of the second try";
  for (const Episode& episode : episodes) {
    EXPECT_TRUE(episode.terminated);
    EXPECT_EQ(episode.length, 3);
    EXPECT_EQ(episode.evaluation_size, 2);
  }
  EXPECT_EQ(actor.Segments().size(), 2u + 1u + 2u) << "and training went on in between";
}

TEST(ActorFaults, ThreeLossesEndAnEvaluationEpisode) {
  Script script;
  for (int i = 0; i < 3; ++i) script.insert(script.end(), {{kStepped}, {kLost}, {kStarted}});
  Actor actor(Counting({3}), Failing(1, 5, script));
  actor.policies.Publish(500);
  actor.replay.AddGrant(Evaluation(100, 500));
  actor.Run();
  ASSERT_EQ(actor.Episodes().size(), 1u);
  EXPECT_EQ(actor.Episodes()[0].length, 1);
  EXPECT_EQ(actor.Episodes()[0].failure, "crashed");
}

// Rows of environments that do not run may hold anything.
TEST(ActorFaults, ARowOfAnAbsentEnvironmentMayBeNaN) {
  class WithNaN : public FailingEnvironments {
   public:
    using FailingEnvironments::FailingEnvironments;
    absl::Status Step(std::span<const float> actions) override {
      const absl::Status status = FailingEnvironments::Step(actions);
      if (outcomes()[0] == kAbsent) observation(0)[0] = std::numeric_limits<float>::quiet_NaN();
      return status;
    }
  };
  Actor actor(std::make_unique<WithNaN>(2, 100, Script{{kLost, kStepped}, {kAbsent, kStepped}}),
              Counting({2}));
  actor.policies.Publish(5);
  actor.replay.AddGrant(Steps(9, 5));
  actor.Run();
  EXPECT_EQ(actor.StoredSteps(), 9);
}

}  // namespace
}  // namespace tandem::actor
