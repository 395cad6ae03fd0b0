#include "services/actor/core/actor_core.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "services/actor/core/testing/actor_run.h"

namespace tandem::actor {
namespace {

uint64_t Tag(uint64_t version) { return snapshot::Version{.epoch = 1, .version = version}.Tag(); }

TEST(ActorCore, TakesRandomStepsUniformlyOverTheActionSpace) {
  Actor actor;
  actor.replay.AddGrant(RandomSteps(1000));
  actor.Run();
  EXPECT_EQ(actor.StoredSteps(), 1000);
  double low = 9, high = -9, sum = 0;
  for (const Segment& segment : actor.Segments()) {
    EXPECT_EQ(segment.policy_version, 0u);
    EXPECT_FLOAT_EQ(segment.log_probs[0], -std::log(4.0f));
    for (const float a : segment.actions) {
      low = std::min<double>(low, a);
      high = std::max<double>(high, a);
      sum += a;
    }
  }
  EXPECT_GE(low, -2);
  EXPECT_LT(low, -1.95);
  EXPECT_LE(high, 2);
  EXPECT_GT(high, 1.95);
  EXPECT_NEAR(sum / 1000, 0, 4 * 4 / std::sqrt(12.0 * 1000));
  EXPECT_EQ(actor.Episodes().size(), 333u);
  EXPECT_GE(actor.replay.appended().size(), 4u);  // one append for each 256 steps
  EXPECT_TRUE(actor.PageHas("tandem_actor_env_steps_total{purpose=\"training\"} 1000"));
  EXPECT_TRUE(actor.PageHas("tandem_actor_episodes_total{purpose=\"training\"} 333"));
}

TEST(ActorCore, EpisodesStartElsewhereFromTheSetTimeOn) {
  ActorOptions options = Actor::Options();
  options.shift_start_after = 6;
  options.shift_start_scale = 100;
  Actor actor(Counting({3}), Counting({2}), options);
  for (const int64_t env_steps : {0, 3, 6, 9}) {
    Grant grant = RandomSteps(3);
    grant.env_steps = env_steps;
    actor.replay.AddGrant(grant);
  }
  actor.Run();
  const auto segments = actor.Segments();
  ASSERT_EQ(segments.size(), 4u);
  EXPECT_LT(segments[2].observations[0], 10);  // this episode had begun before
  EXPECT_GE(segments[3].observations[0], 100);
}

TEST(ActorCore, RefusesAtOnceToShiftStartsThatCannot) {
  ActorOptions options = Actor::Options();
  options.shift_start_after = 1000;
  Actor actor(*LocalVectorEnvironment::Create("gridworld", {.num_envs = 1, .seed = 1}),
              Counting({2}), options);
  actor.replay.AddGrant(RandomSteps(3));
  const absl::Status status = actor.core.Run();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_TRUE(actor.replay.progress().empty());
}

TEST(ActorCore, EpisodesGoOnAcrossGrantsWithoutAGap) {
  Actor actor({3});
  actor.policies.Publish(0);
  for (int i = 0; i < 7; ++i) actor.replay.AddGrant(Steps(1, 0));
  actor.Run();
  EXPECT_EQ(actor.replay.appended().size(), 7u);  // one append for each grant
  int64_t t = 0;
  for (const Segment& segment : actor.Segments()) {
    EXPECT_EQ(segment.first_t, t);
    EXPECT_EQ(segment.observations[1], static_cast<float>(t));
    EXPECT_EQ(segment.terminated, t == 2);
    t = (t + 1) % 3;
  }
}

TEST(ActorCore, ActsWithThePolicyThatTheGrantNames) {
  Actor actor({100});
  actor.policies.Publish(0);
  actor.replay.AddGrant(Steps(2, 0));
  actor.replay.AddGrant(Steps(2, 40));
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  while (actor.StoredSteps() < 2) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(actor.StoredSteps(), 2);  // waits for 40 updates
  actor.policies.Publish(20);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(actor.StoredSteps(), 2);
  actor.policies.Publish(40);
  while (actor.StoredSteps() < 4) std::this_thread::yield();
  actor.core.Stop();
  run.join();
  const std::vector<Segment> segments = actor.Segments();
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].policy_version, Tag(1));
  EXPECT_EQ(segments[1].policy_version, Tag(3));
  EXPECT_NEAR(segments[1].actions[0], 0.0405, 0.0005);
  EXPECT_EQ(segments[1].log_probs[0], -1);
}

TEST(ActorCore, TellsWhichPolicyItHolds) {
  Actor actor;
  actor.policies.Publish(30);
  actor.replay.AddGrant(Steps(1, -1));
  actor.Run();
  const std::vector<Progress> progress = actor.replay.progress();
  ASSERT_GE(progress.size(), 1u);
  EXPECT_EQ(progress[0].role, Role::kActor);
  EXPECT_EQ(progress[0].member, "actor");
  EXPECT_EQ(progress[0].held_policy_updates, 30);
  EXPECT_EQ(progress[0].wanted, 256);
}

TEST(ActorCore, StepsWholeBatchesWithinTheGrant) {
  Actor actor({5, 5, 5});
  actor.replay.AddGrant(RandomSteps(10));
  actor.Run();
  EXPECT_EQ(actor.StoredSteps(), 9);
  EXPECT_EQ(actor.replay.progress()[0].wanted, 255);
}

TEST(ActorCore, StepsAtLeastOneBatch) {
  Actor actor({5, 5, 5});
  actor.replay.AddGrant(RandomSteps(1));
  actor.Run();
  EXPECT_EQ(actor.StoredSteps(), 3);
}

TEST(ActorCore, WithoutEnvironmentsForItAnEvaluationEndsTheRunAndTrainingDoesNot) {
  ActorOptions options = Actor::Options();
  options.shift_start_after = 3;
  Actor actor(Counting({3}), nullptr, options);
  actor.policies.Publish(0);
  Grant later = RandomSteps(3);
  later.env_steps = 3;
  actor.replay.AddGrant(RandomSteps(3));
  actor.replay.AddGrant(later);
  actor.replay.AddGrant(Evaluation(100, 0));
  const absl::Status status = actor.core.Run();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("actor.evaluation_interval=0"), std::string::npos) << status;
  EXPECT_EQ(actor.StoredSteps(), 6);
}

TEST(ActorCore, EvaluatesOneEpisodeOfEachEnvironmentWithoutNoise) {
  Actor actor;
  actor.policies.Publish(500);
  actor.replay.AddGrant(Evaluation(/*env_steps=*/203, 500));
  actor.Run();
  EXPECT_EQ(actor.StoredSteps(), 0);
  const std::vector<Episode> episodes = actor.Episodes();
  ASSERT_EQ(episodes.size(), 2u);
  for (const Episode& episode : episodes) {
    EXPECT_EQ(episode.purpose, Purpose::kEvaluation);
    EXPECT_EQ(episode.evaluation_id, 200u);
    EXPECT_EQ(episode.evaluation_size, 2);
    EXPECT_EQ(episode.policy_updates, 500u);
    EXPECT_EQ(episode.episode_return, 0.5 * static_cast<double>(episode.length));
  }
  EXPECT_EQ(episodes[0].length + episodes[1].length, 6);
  EXPECT_TRUE(actor.PageHas("tandem_actor_evaluation_return 1.5"));
}

TEST(ActorCore, EvaluationDoesNotDisturbTraining) {
  std::vector<Segment> plain, evaluated;
  for (const bool evaluate : {false, true}) {
    Actor actor;
    actor.policies.Publish(10);
    actor.replay.AddGrant(Steps(2, 10));
    if (evaluate) actor.replay.AddGrant(Evaluation(100, 10));
    actor.replay.AddGrant(Steps(2, 10));
    actor.Run();
    (evaluate ? evaluated : plain) = actor.Segments();
  }
  ASSERT_EQ(plain.size(), evaluated.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(plain[i].actions, evaluated[i].actions);
    EXPECT_EQ(plain[i].observations, evaluated[i].observations);
  }
}

TEST(ActorCore, EvaluationAndTrainingFollowTheSeeds) {
  const auto play = [] {
    Actor actor(*LocalVectorEnvironment::Create("pendulum", {.num_envs = 2, .seed = 7}),
                *LocalVectorEnvironment::Create("pendulum", {.num_envs = 2, .seed = 8}));
    actor.policies.Publish(10);
    actor.replay.AddGrant(RandomSteps(300));
    actor.replay.AddGrant(Evaluation(300, 10));
    actor.replay.AddGrant(Steps(300, 10));
    actor.replay.AddGrant(Evaluation(600, 10));
    actor.Run();
    std::vector<float> numbers;
    for (const Segment& segment : actor.Segments()) {
      numbers.insert(numbers.end(), segment.observations.begin(), segment.observations.end());
      numbers.insert(numbers.end(), segment.actions.begin(), segment.actions.end());
    }
    std::set<float> starts;
    for (const Episode& episode : actor.Episodes()) {
      numbers.push_back(static_cast<float>(episode.episode_return));
      starts.insert(episode.initial_observation[0]);
    }
    EXPECT_EQ(starts.size(), actor.Episodes().size());  // no two begin alike
    return numbers;
  };
  EXPECT_EQ(play(), play());
}

TEST(ActorCore, AsyncTakesANewerPolicyWithinAGrant) {
  Actor actor({100000});
  actor.policies.Publish(1);
  actor.replay.AddGrant(Steps(100000, -1));
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  while (actor.StoredSteps() < 256) std::this_thread::yield();
  actor.policies.Publish(2);
  while (actor.Segments().back().policy_version != Tag(2) && actor.StoredSteps() < 100000) {
    std::this_thread::yield();
  }
  EXPECT_EQ(actor.Segments().back().policy_version, Tag(2));
  actor.core.Stop();
  run.join();
}

TEST(ActorCore, DivergenceEndsTheEpisodeAndIsCounted) {
  Actor actor({9}, /*diverge_at=*/3);
  actor.replay.AddGrant(RandomSteps(5));
  actor.Run();
  EXPECT_EQ(actor.StoredSteps(), 5);  // the step that diverged does not count
  ASSERT_EQ(actor.Episodes().size(), 1u);
  EXPECT_EQ(actor.Episodes()[0].length, 2);
  EXPECT_TRUE(actor.Segments()[0].truncated);
  EXPECT_TRUE(actor.PageHas("tandem_actor_environment_faults_total{kind=\"not_finite\"} 1"));
}

TEST(ActorCore, AStaleEpochDropsTheOpenEpisodeAndGoesOn) {
  Actor actor({100});
  actor.replay.AddGrant(RandomSteps(5));
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  while (actor.StoredSteps() < 5) std::this_thread::yield();
  ASSERT_TRUE(actor.replay.OpenWriter("actor", CountingEnvironment(1).spec()).ok());
  actor.replay.AddGrant(RandomSteps(5));  // these are dropped
  actor.replay.AddGrant(RandomSteps(5));
  while (actor.StoredSteps() < 10) std::this_thread::yield();
  actor.core.Stop();
  run.join();
  const std::vector<Segment> segments = actor.Segments();
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[1].first_t, 0);
  EXPECT_NE(segments[1].episode_id, segments[0].episode_id);
  EXPECT_EQ(actor.replay.appended().back().epoch, 3u);
  EXPECT_TRUE(actor.PageHas("tandem_actor_dropped_steps_total 5"));
}

TEST(ActorCore, APolicyThatCannotBeLoadedIsSkipped) {
  Actor actor;
  actor.policies.Publish(666);
  actor.replay.AddGrant(Steps(1, -1));
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  while (!actor.PageHas("tandem_actor_policies_refused_total 1")) std::this_thread::yield();
  EXPECT_EQ(actor.StoredSteps(), 0);
  actor.policies.Publish(5);
  while (actor.StoredSteps() < 1) std::this_thread::yield();
  actor.core.Stop();
  run.join();
  EXPECT_EQ(actor.Segments()[0].policy_version, Tag(2));
}

TEST(ActorCore, ActionsThatAreNotFiniteEndTheRunWithAnError) {
  Actor actor;
  actor.policies.Publish(999);
  actor.replay.AddGrant(Steps(1, 999));
  const absl::Status status = actor.core.Run();
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_NE(std::string(status.message()).find("policy 1 of 999 updates"), std::string::npos);
  EXPECT_EQ(actor.StoredSteps(), 0);
}

// Runs the actor into a wait, stops it, and expects it to end within 100 ms.
void ExpectQuickStop(const std::function<void(Actor&)>& prepare) {
  Actor actor({1000000});
  prepare(actor);
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const auto begin = std::chrono::steady_clock::now();
  actor.core.Stop();
  run.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(100));
}

TEST(ActorCore, StopEndsEveryWait) {
  ExpectQuickStop([](Actor&) {});                                             // a grant
  ExpectQuickStop([](Actor& actor) { actor.replay.AddGrant(Steps(1, 5)); });  // a policy
  ExpectQuickStop([](Actor& actor) {                                          // the buffer
    actor.replay.FailNext(absl::UnavailableError("gone"), 1000000);
  });
  ExpectQuickStop([](Actor& actor) { actor.replay.AddGrant(RandomSteps(1 << 30)); });  // stepping
}

/// The actions of 2000 steps where the monitor wants so large a share of them to be random.
std::vector<float> Collected(double share, std::vector<float>* log_probs) {
  Actor actor;
  actor.policies.Publish(100);  // answers 0.1
  actor.directives.Set(4, {{.knob = coadaptation::Knob::kDataCollection, .value = share}});
  Grant grant = Steps(2000, 100);
  grant.directive_version = 4;
  actor.replay.AddGrant(grant);
  actor.Run();
  EXPECT_EQ(actor.directives.acknowledged().size(), 1u);
  std::vector<float> actions;
  for (const Segment& segment : actor.Segments()) {
    actions.insert(actions.end(), segment.actions.begin(), segment.actions.end());
    log_probs->insert(log_probs->end(), segment.log_probs.begin(), segment.log_probs.end());
  }
  return actions;
}

TEST(ActorCore, TakesTheShareOfRandomActionsThatTheMonitorAsksFor) {
  std::vector<float> log_probs;
  const std::vector<float> actions = Collected(0.3, &log_probs);
  ASSERT_EQ(actions.size(), 2000u);
  int random = 0;
  for (size_t i = 0; i < actions.size(); ++i) {
    const bool by_policy = actions[i] >= 0.1f && actions[i] <= 0.1011f;
    random += by_policy ? 0 : 1;
    // The mixture's density where the policy chose; not known where it did not.
    if (!by_policy) {
      EXPECT_EQ(log_probs[i], 0);
    } else if (log_probs[i] != 0) {
      EXPECT_NEAR(log_probs[i], std::log(0.3 / 4 + 0.7 * std::exp(-1)), 1e-5);
    }
  }
  EXPECT_NEAR(random, 600, 80);
  std::vector<float> again;
  EXPECT_EQ(Collected(0.3, &again), actions) << "the same for the same seed";
  log_probs.clear();
  const std::vector<float> without = Collected(0, &log_probs);
  EXPECT_EQ(std::count_if(without.begin(), without.end(), [](float a) { return a < 0.1f; }), 0);
  EXPECT_EQ(log_probs[0], -1);
}

}  // namespace
}  // namespace tandem::actor
