#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clients/testing/fake_directive_client.h"
#include "common/clients/testing/fake_replay_client.h"
#include "services/actor/core/actor_core.h"
#include "services/actor/core/testing/fakes.h"

namespace tandem::actor {

inline Grant Steps(int64_t steps, int64_t policy_updates) {
  Grant grant;
  grant.granted = steps;
  grant.policy_updates = policy_updates;
  return grant;
}

inline Grant RandomSteps(int64_t steps) {
  Grant grant;
  grant.granted = steps;
  grant.random_actions = true;
  return grant;
}

inline Grant Evaluation(int64_t env_steps, int64_t policy_updates) {
  Grant grant;
  grant.evaluate = true;
  grant.env_steps = env_steps;
  grant.policy_updates = policy_updates;
  return grant;
}

/// An actor with fakes around it.
struct Actor {
  explicit Actor(std::vector<int> lengths = {3}, int diverge_at = -1)
      : Actor(Counting(lengths, diverge_at), Counting({2, 4})) {}
  Actor(std::unique_ptr<VectorEnvironment> training, std::unique_ptr<VectorEnvironment> evaluation,
        ActorOptions options = Options(), std::unique_ptr<VectorEnvironment> warmup = nullptr)
      : core(options,
             ActorParts{std::move(training), std::move(evaluation), replay, policies, LoadFake,
                        *Clock::Real(), registry, &directives, std::move(warmup)}) {}
  static ActorOptions Options() {
    ActorOptions options;
    options.random_action_seed = 1;
    options.policy_action_seed = 2;
    options.evaluation_seed = 3;
    options.evaluation_interval = 100;
    options.advance_wait = absl::Milliseconds(20);
    return options;
  }
  // Runs the script of grants to its end.
  void Run() {
    replay.StopWhenOutOfGrants();
    const absl::Status status = core.Run();
    EXPECT_TRUE(status.ok()) << status;
  }
  std::vector<Segment> Segments() const {
    std::vector<Segment> all;
    for (const FakeReplayClient::Appended& appended : replay.appended()) {
      all.insert(all.end(), appended.segments.begin(), appended.segments.end());
    }
    return all;
  }
  std::vector<Episode> Episodes() const {
    std::vector<Episode> all;
    for (const FakeReplayClient::Appended& appended : replay.appended()) {
      all.insert(all.end(), appended.episodes.begin(), appended.episodes.end());
    }
    return all;
  }
  int64_t StoredSteps() const {
    int64_t steps = 0;
    for (const Segment& segment : Segments()) steps += segment.size();
    return steps;
  }
  bool PageHas(const std::string& line) const {
    return registry.Page().find(line) != std::string::npos;
  }

  metrics::Registry registry;
  FakeReplayClient replay;
  FakeSnapshotSource policies;
  FakeDirectiveClient directives;
  ActorCore core;
};

}  // namespace tandem::actor
