#include "services/replay_buffer/core/pace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"

namespace tandem {
namespace {

using testing::HasSubstr;

PaceOptions Small() {
  PaceOptions o;
  o.warmup_steps = 20;
  o.updates_per_step = 2;
  o.refit_interval = 25;
  o.steps_per_round = 5;
  o.evaluation_interval = 0;
  o.max_env_steps = 100;
  return o;
}

PaceAsk Actor(const std::string& name, int64_t wanted = 1000) {
  return {.role = Role::kActor, .member = name, .wanted = wanted};
}
PaceAsk Model(int64_t steps) {
  return {.role = Role::kModelTrainer, .member = "m", .model_steps = steps};
}
PaceAsk Policy(int64_t updates, int64_t wanted = 1000) {
  return {.role = Role::kPolicyTrainer, .member = "p", .wanted = wanted, .policy_updates = updates};
}

PaceGrant Ask(PacePolicy& pace, const PaceAsk& ask) {
  pace.Report(ask);
  return pace.Grant(ask);
}

Episode Evaluated(int64_t id, int64_t size, double value) {
  Episode e;
  e.purpose = Purpose::kEvaluation;
  e.episode_return = value;
  e.length = 1;
  e.evaluation_id = static_cast<uint64_t>(id);
  e.evaluation_size = size;
  return e;
}

TEST(PaceLockstepTest, GoesThroughWarmupFitUpdatesAndRounds) {
  PacePolicy pace(Small());
  EXPECT_EQ(Ask(pace, Model(0)).waiting_for, "20 more environment steps");
  EXPECT_EQ(Ask(pace, Policy(0)).waiting_for, "25 more environment steps");

  PaceGrant actor = Ask(pace, Actor("a"));
  EXPECT_EQ(actor.granted, 20);
  EXPECT_TRUE(actor.random_actions);
  EXPECT_EQ(actor.policy_updates, -1);
  pace.StepsStored("a", 20);

  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "the model of 20 environment steps");
  const PaceGrant fit = Ask(pace, Model(0));
  EXPECT_EQ(fit.granted, 1);
  EXPECT_EQ(fit.through_steps, 20);
  EXPECT_EQ(Ask(pace, Model(20)).waiting_for, "5 more environment steps");

  actor = Ask(pace, Actor("a"));  // to the round's end, which is also the next refit
  EXPECT_EQ(actor.granted, 5);
  EXPECT_FALSE(actor.random_actions);
  EXPECT_EQ(actor.policy_updates, 0);
  pace.StepsStored("a", 5);

  EXPECT_EQ(Ask(pace, Policy(0)).waiting_for, "the model of 25 environment steps");
  EXPECT_EQ(Ask(pace, Model(20)).through_steps, 25);
  pace.Report(Model(25));
  const PaceGrant updates = Ask(pace, Policy(0));
  EXPECT_EQ(updates.granted, 10);
  EXPECT_EQ(updates.through_steps, 25);
  EXPECT_EQ(updates.model_steps, 25);
  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "10 more policy updates");
  EXPECT_EQ(Ask(pace, Policy(10)).waiting_for, "5 more environment steps");
  actor = Ask(pace, Actor("a"));
  EXPECT_EQ(actor.granted, 5);
  EXPECT_EQ(actor.policy_updates, 10);
}

TEST(PaceLockstepTest, GrantsWhatIsWantedAndKeepsTheRest) {
  PacePolicy pace(Small());
  EXPECT_EQ(Ask(pace, Actor("a", 8)).granted, 8);
  pace.StepsStored("a", 3);
  EXPECT_EQ(Ask(pace, Actor("a", 1000)).granted, 17) << "asking again gives the unused 5 back";
  EXPECT_EQ(Ask(pace, Actor("a", 0)).waiting_for, "a wish for at least 1 environment step");
}

TEST(PaceLockstepTest, TrainersSeeOnlySettledPoints) {
  PaceOptions o = Small();
  o.num_envs = 8;
  PacePolicy pace(o);
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 16) << "whole batches of 8, not beyond 20";
  pace.StepsStored("a", 16);
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 8) << "at least one batch";
  pace.StepsStored("a", 5);  // 21 of 24: the warm-up is over, but 3 steps are outstanding
  EXPECT_EQ(Ask(pace, Model(0)).granted, 0);
  pace.StepsStored("a", 3);
  const PaceGrant fit = Ask(pace, Model(0));
  EXPECT_EQ(fit.granted, 1);
  EXPECT_EQ(fit.through_steps, 20);
}

TEST(PaceLockstepTest, ActorWaitsForThePolicyTrainerToBeKnown) {
  PacePolicy pace(Small());
  pace.StepsStored("a", 20);
  pace.Report(Model(20));
  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "the policy trainer");
  pace.Report(Policy(700));  // it kept its updates; the buffer was restarted
  EXPECT_EQ(Ask(pace, Actor("a")).policy_updates, 700);
}

TEST(PaceLockstepTest, RestartedTrainersCatchUp) {
  PacePolicy pace(Small());
  Ask(pace, Actor("a"));
  pace.StepsStored("a", 20);
  pace.Report(Model(20));
  pace.Report(Policy(0));
  ASSERT_EQ(Ask(pace, Actor("a")).granted, 5);
  pace.StepsStored("a", 5);
  pace.Report(Model(25));
  pace.Report(Policy(10));
  ASSERT_EQ(Ask(pace, Actor("a")).granted, 5);  // it now waits for the policy with 10 updates
  EXPECT_EQ(Ask(pace, Policy(4)).granted, 6) << "though steps are outstanding";
  EXPECT_EQ(Ask(pace, Model(0)).through_steps, 25);
  EXPECT_EQ(Ask(pace, Policy(4)).waiting_for, "the model of 25 environment steps");
}

TEST(PaceLockstepTest, SeveralActorsShareARound) {
  PacePolicy pace(Small());
  EXPECT_EQ(Ask(pace, Actor("a", 12)).granted, 12);
  EXPECT_EQ(Ask(pace, Actor("b", 12)).granted, 8);
  EXPECT_EQ(Ask(pace, Actor("c", 12)).waiting_for, "environment steps of other actors");
  pace.Forget("b");
  EXPECT_EQ(pace.Grant(Actor("c", 12)).granted, 8);
}

TEST(PaceLockstepTest, EvaluationComesFirstAndFromOneActor) {
  PaceOptions o = Small();
  o.evaluation_interval = 30;
  PacePolicy pace(o);
  pace.Report(Actor("b"));
  pace.Report(Actor("a"));
  pace.StepsStored("a", 20);
  pace.Report(Model(20));
  pace.Report(Policy(0));
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 5);
  pace.StepsStored("a", 5);
  pace.Report(Model(25));
  pace.Report(Policy(10));
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 5);
  pace.StepsStored("a", 5);
  EXPECT_FALSE(Ask(pace, Actor("a")).evaluate) << "the policy of 20 updates is evaluated";
  pace.Report(Policy(20));
  EXPECT_EQ(Ask(pace, Actor("b")).waiting_for, "the evaluation at 30 environment steps by a");
  PaceGrant evaluate = Ask(pace, Actor("a"));
  EXPECT_TRUE(evaluate.evaluate);
  EXPECT_EQ(evaluate.granted, 0);
  EXPECT_EQ(evaluate.policy_updates, 20);
  pace.EvaluationEpisodeStored("a", Evaluated(30, 2, 1));
  EXPECT_TRUE(Ask(pace, Actor("a")).evaluate) << "it started anew: both episodes again";
  pace.EvaluationEpisodeStored("a", Evaluated(30, 2, 4));
  EXPECT_EQ(pace.evaluations().size(), 0u);
  pace.EvaluationEpisodeStored("a", Evaluated(30, 2, 6));
  ASSERT_EQ(pace.evaluations().size(), 1u);
  EXPECT_DOUBLE_EQ(pace.evaluations()[0].mean_return, 5);
  EXPECT_EQ(pace.evaluations()[0].env_steps, 30);
  EXPECT_EQ(Ask(pace, Actor("b")).granted, 5);
}

TEST(PaceStopTest, EndsAfterTheLastEvaluation) {
  PaceOptions o = Small();
  o.evaluation_interval = 50;
  PacePolicy pace(o);
  pace.StepsStored("a", 100);
  pace.Report(Model(100));
  pace.Report(Policy(160));
  EXPECT_FALSE(pace.stopped());
  EXPECT_TRUE(Ask(pace, Actor("a")).evaluate);
  pace.EvaluationEpisodeStored("a", Evaluated(100, 1, 3));
  EXPECT_EQ(pace.stop_reason(), "environment steps done");
  EXPECT_TRUE(Ask(pace, Actor("a")).stop);
  EXPECT_TRUE(Ask(pace, Model(100)).stop);
  EXPECT_TRUE(Ask(pace, Policy(160)).stop);
}

TEST(PaceStopTest, KeepsTheLastEvaluationsOnly) {
  PaceOptions o = Small();
  o.evaluation_interval = 30;
  PacePolicy pace(o);
  for (int64_t i = 1; i <= kMaxEvaluations + 100; ++i) {
    pace.EvaluationEpisodeStored("a", Evaluated(30 * i, 1, static_cast<double>(i)));
  }
  ASSERT_EQ(pace.evaluations().size(), static_cast<size_t>(kMaxEvaluations));
  EXPECT_DOUBLE_EQ(pace.evaluations().front().mean_return, 101);
  EXPECT_DOUBLE_EQ(pace.evaluations().back().mean_return, kMaxEvaluations + 100);
  o.evaluations_in_a_row = kMaxEvaluations + 1;
  EXPECT_THAT(std::string(Validate(o).message()), HasSubstr("stop.evaluations_in_a_row"));
}

TEST(PaceStopTest, ReachesAGoalInARow) {
  PaceOptions o = Small();
  o.evaluation_interval = 30;
  o.return_at_least = 10;
  PacePolicy pace(o);
  pace.EvaluationEpisodeStored("a", Evaluated(30, 1, 11));
  pace.EvaluationEpisodeStored("a", Evaluated(60, 1, 9));
  pace.EvaluationEpisodeStored("a", Evaluated(60, 1, 50));  // late: already evaluated
  pace.EvaluationEpisodeStored("a", Evaluated(90, 1, 12));
  EXPECT_FALSE(pace.stopped());
  pace.EvaluationEpisodeStored("a", Evaluated(120, 1, 10));
  EXPECT_THAT(pace.stop_reason(), HasSubstr("goal reached"));
}

TEST(PaceAsyncTest, BoundsTheDriftOfEachSide) {
  PaceOptions o = Small();
  o.mode = PaceMode::kAsync;
  o.band_steps = 10;
  o.max_model_lag = 40;
  o.max_policy_lag = 60;
  o.publish_interval = 10;
  PacePolicy pace(o);
  EXPECT_EQ(Ask(pace, Policy(0)).waiting_for, "the first model");
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 20);
  pace.StepsStored("a", 20);
  EXPECT_EQ(Ask(pace, Actor("a")).granted, 11) << "no further ahead of the updates than the band";
  EXPECT_EQ(Ask(pace, Model(0)).granted, 1);
  EXPECT_EQ(Ask(pace, Model(20)).waiting_for, "25 more environment steps");
  EXPECT_EQ(Ask(pace, Policy(0)).granted, 20);
  EXPECT_THAT(Ask(pace, Policy(20)).waiting_for, HasSubstr("more environment step"));
  pace.Report(Policy(80));
  EXPECT_EQ(Ask(pace, Actor("a")).waiting_for, "this actor to load a newer policy");
  PaceAsk newer = Actor("a");
  newer.held_policy_updates = 70;
  EXPECT_EQ(Ask(pace, newer).granted, 41) << "no further ahead of the model than its lag";
}

TEST(PaceAsyncTest, EvaluationHoldsUpNobody) {
  PaceOptions o = Small();
  o.mode = PaceMode::kAsync;
  o.evaluation_interval = 20;
  PacePolicy pace(o);
  pace.Report(Actor("a"));
  pace.Report(Actor("b"));
  pace.StepsStored("a", 20);
  EXPECT_FALSE(pace.Grant(Actor("b", 5)).evaluate);
  const PaceGrant a = Ask(pace, Actor("a", 5));
  EXPECT_TRUE(a.evaluate);
  EXPECT_EQ(a.granted, 5);
  EXPECT_EQ(pace.Grant(Actor("b", 5)).granted, 5);
}

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
