// Whole runs under the pace, with sides that ask in a random order, die and come back.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "services/replay_buffer/core/pace.h"
#include "services/replay_buffer/core/testing/pace_sides.h"

namespace tandem {
namespace {

using testing_support::Actor;
using testing_support::Ask;
using testing_support::Evaluated;
using testing_support::Model;
using testing_support::Policy;

/// Plays whole runs with sides that ask in a random order, die and come back. Sees to it that the
/// pace never leaves all of them waiting, and keeps its promises.
class Simulation {
 public:
  Simulation(const PaceOptions& options, int actors, uint64_t seed)
      : options_(options), pace_(options), rng_(seed), actors_(static_cast<size_t>(actors)) {}

  /// Whether the run came to its end.
  bool Run(int max_idle_rounds) {
    int idle = 0;
    while (idle < max_idle_rounds) {
      if (pace_.stopped()) return true;
      idle = Turn() ? 0 : idle + 1;
    }
    return false;
  }

  int64_t steps() const { return pace_.env_steps(); }
  int64_t updates() const { return updates_; }
  const std::vector<EvaluationResult>& evaluations() const { return pace_.evaluations(); }
  const std::string& waits() const { return waits_; }
  const std::vector<std::string>& trace() const { return trace_; }

 private:
  struct ActorState {
    int64_t left = 0;
    int64_t evaluation = 0;
    int64_t held = 0;
  };

  bool Turn() {
    const uint64_t who = rng_.Below(actors_.size() + 2);
    if (rng_.Below(40) == 0) return Restart(who);
    if (who == actors_.size()) return ModelTurn();
    if (who == actors_.size() + 1) return PolicyTurn();
    return ActorTurn(who);
  }

  bool Restart(uint64_t who) {
    if (restarts_-- <= 0) return true;
    if (who == actors_.size()) {
      model_ = rng_.Below(2) == 0 ? 0 : model_;
    } else if (who == actors_.size() + 1) {
      updates_ -= static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(updates_ + 1)));
    } else {
      pace_.Release(Name(who));
      actors_[who] = {};
    }
    return true;
  }

  bool ModelTurn() {
    const PaceGrant grant = Ask(pace_, Model(model_));
    waits_ = grant.waiting_for;
    if (grant.granted == 0) return grant.stop;
    EXPECT_LE(grant.through_steps, steps());
    EXPECT_GE(grant.through_steps, options_.warmup_steps);
    model_ = grant.through_steps;
    trace_.push_back(absl::StrCat("fit ", model_));
    return true;
  }

  bool PolicyTurn() {
    const PaceGrant grant = Ask(pace_, Policy(updates_, 1 + static_cast<int64_t>(rng_.Below(50))));
    waits_ = grant.waiting_for;
    if (grant.granted == 0) return grant.stop;
    if (options_.mode == PaceMode::kLockstep) {
      EXPECT_EQ(grant.model_steps, pace_.DueModel(grant.through_steps));
      EXPECT_LE(updates_ + grant.granted, pace_.DueUpdates(steps()));
    }
    EXPECT_GT(grant.model_steps, 0);
    updates_ += grant.granted;
    if (updates_ == pace_.DueUpdates(grant.through_steps)) {
      trace_.push_back(absl::StrCat("updates ", updates_, " with model ", grant.model_steps, " on ",
                                    grant.through_steps));
    }
    return true;
  }

  bool ActorTurn(uint64_t who) {
    ActorState& actor = actors_[who];
    if (actor.evaluation > 0) {
      const int64_t id = std::exchange(actor.evaluation, 0);
      for (int i = 0; i < 3; ++i) pace_.EvaluationEpisodeStored(Name(who), Evaluated(id, 3, 0));
      trace_.push_back(absl::StrCat("evaluated ", id));
      return true;
    }
    if (actor.left > 0) {
      const int64_t n = 1 + static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(actor.left)));
      actor.left -= n;
      pace_.StepsStored(Name(who), n);
      return true;
    }
    actor.held = updates_;
    PaceAsk ask = Actor(Name(who), 4096);
    ask.held_policy_updates = actor.held;
    const PaceGrant grant = Ask(pace_, ask);
    waits_ = grant.waiting_for;
    if (grant.evaluate) {
      actor.evaluation = steps() / options_.evaluation_interval * options_.evaluation_interval;
    }
    if (grant.granted > 0) {
      EXPECT_EQ(grant.granted % options_.num_envs, 0);
      actor.left = grant.granted;
      trace_.push_back(absl::StrCat(grant.granted, " steps with ", grant.policy_updates));
    }
    return !grant.empty();
  }

  static std::string Name(uint64_t who) { return absl::StrCat("actor-", who); }

  const PaceOptions options_;
  PacePolicy pace_;
  Rng rng_;
  std::vector<ActorState> actors_;
  int64_t updates_ = 0;
  int64_t model_ = 0;
  int restarts_ = 0;
  std::string waits_;
  std::vector<std::string> trace_;

 public:
  void AllowRestarts(int n) { restarts_ = n; }
};

PaceOptions Odd(Rng& rng, PaceMode mode) {
  const auto pick = [&rng](std::vector<int64_t> values) {
    return values[rng.Below(values.size())];
  };
  PaceOptions o;
  o.mode = mode;
  o.warmup_steps = pick({1, 3, 17, 50});
  o.updates_per_step = std::vector<double>{0.01, 0.3, 1, 7, 20}[rng.Below(5)];
  o.refit_interval = pick({1, 7, 25, 64});
  o.steps_per_round = pick({1, 3, 10, 97});
  o.num_envs = pick({1, 4, 33});
  o.band_steps = pick({1, 5, 60});
  o.max_model_lag = pick({0, 1, 30});
  o.max_policy_lag = pick({0, 1, 500});
  o.publish_interval = pick({1, 50});
  o.evaluation_interval = pick({0, 1, 13, 40});
  o.max_env_steps = pick({1, 40, 201});
  return o;
}

TEST(PacePropertyTest, NoScheduleDeadlocks) {
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    Rng rng(seed, "options");
    const PaceMode mode = seed % 2 == 0 ? PaceMode::kLockstep : PaceMode::kAsync;
    const PaceOptions options = Odd(rng, mode);
    Simulation run(options, 1 + static_cast<int>(rng.Below(3)), seed);
    run.AllowRestarts(static_cast<int>(rng.Below(6)));
    ASSERT_TRUE(run.Run(/*max_idle_rounds=*/400))
        << "seed " << seed << " stands at " << run.steps() << " steps, " << run.updates()
        << " updates; one waits for " << run.waits();
    EXPECT_GE(run.steps(), options.max_env_steps);
    if (options.evaluation_interval > 0 &&
        options.max_env_steps >= options.warmup_steps + options.evaluation_interval) {
      EXPECT_GE(run.evaluations().size(), 1u);
    }
  }
}

TEST(PacePropertyTest, LockstepWithOneActorDoesTheSameInEveryOrder) {
  for (uint64_t config = 0; config < 60; ++config) {
    Rng rng(config, "options");
    const PaceOptions options = Odd(rng, PaceMode::kLockstep);
    std::vector<std::string> first;
    for (uint64_t order = 0; order < 6; ++order) {
      Simulation run(options, 1, order);
      ASSERT_TRUE(run.Run(400));
      if (order == 0) first = run.trace();
      ASSERT_EQ(run.trace(), first) << "configuration " << config << ", order " << order;
    }
  }
}

}  // namespace
}  // namespace tandem
