#include "services/actor/options.h"

#include <gtest/gtest.h>

#include "common/config/config.h"

namespace tandem::actor {
namespace {

config::v1::RunConfig Config(const std::vector<std::string>& overrides) {
  std::vector<std::string> all = {"env.name=pendulum", "endpoints.listen=unix:/a",
                                  "endpoints.replay_buffer=unix:/b",
                                  "endpoints.policy_trainer=unix:/c"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  auto config = config::Load("", all);
  EXPECT_TRUE(config.ok()) << config.status();
  return *config;
}

ServiceOptions Options(const std::vector<std::string>& overrides, uint64_t start = 1) {
  auto options = OptionsFrom(Config(overrides), start);
  EXPECT_TRUE(options.ok()) << options.status();
  return *options;
}

TEST(ActorOptionsFrom, TakesFieldsAndDefaults) {
  const ServiceOptions options = Options(
      {"actor.num_envs=3", "actor.evaluation_interval=77", "study.shift_start_after=500",
       "study.shift_start_scale=4", "env.threads=2", "env.server=host:1", "env.arguments={}",
       "env.warmup_episode_steps=70", "env.step_timeout_seconds=0.5", "env.max_failures=3"});
  EXPECT_EQ(options.actor.shift_start_after, 500);
  EXPECT_EQ(options.actor.shift_start_scale, 4);
  EXPECT_EQ(options.environment.name, "pendulum");
  EXPECT_EQ(options.environment.server, "host:1");
  EXPECT_EQ(options.environment.command, "");
  EXPECT_EQ(options.environment.arguments, "{}");
  EXPECT_EQ(options.environment.threads, 2);
  EXPECT_EQ(options.environment.step_timeout, absl::Milliseconds(500));
  EXPECT_EQ(options.environment.reset_timeout, absl::Minutes(1));
  EXPECT_EQ(options.environment.client, "actor");
  EXPECT_EQ(options.actor.health.max_failures, 3);
  EXPECT_EQ(options.actor.health.failure_window, absl::Minutes(10));
  EXPECT_EQ(options.actor.health.standstill, absl::Minutes(2));
  EXPECT_EQ(options.warmup_episode_steps, 70);
  EXPECT_EQ(options.num_envs, 3);
  EXPECT_EQ(options.evaluation_episodes, 10);
  EXPECT_EQ(options.actor.evaluation_interval, 77);
  EXPECT_EQ(options.actor.replay_buffer, "unix:/b");
  EXPECT_EQ(options.device, "cpu");
  EXPECT_EQ(options.drain, absl::Seconds(4));
}

TEST(ActorOptionsFrom, EveryStreamHasItsSeed) {
  const ServiceOptions base = Options({});
  EXPECT_NE(base.actor.random_action_seed, base.actor.policy_action_seed);
  EXPECT_NE(base.environment_seed, base.actor.evaluation_seed);
  EXPECT_NE(base.environment_seed, base.warmup_seed);
  const ServiceOptions again = Options({});
  EXPECT_EQ(again.environment_seed, base.environment_seed);
  const ServiceOptions other_run = Options({"run.seed=1"});
  EXPECT_NE(other_run.environment_seed, base.environment_seed);
  EXPECT_NE(other_run.actor.random_action_seed, base.actor.random_action_seed);
  const ServiceOptions other_env = Options({"env.seed=1"});
  EXPECT_NE(other_env.environment_seed, base.environment_seed);
  EXPECT_EQ(other_env.actor.random_action_seed, base.actor.random_action_seed);
}

TEST(ActorOptionsFrom, OtherActorsAndStartsPlayOtherEpisodesButTheSameEvaluations) {
  const ServiceOptions base = Options({});
  for (const ServiceOptions& other :
       {Options({"endpoints.member=actor-1"}), Options({}, /*start=*/2)}) {
    EXPECT_NE(other.environment_seed, base.environment_seed);
    EXPECT_NE(other.warmup_seed, base.warmup_seed);
    EXPECT_NE(other.actor.random_action_seed, base.actor.random_action_seed);
    EXPECT_NE(other.actor.policy_action_seed, base.actor.policy_action_seed);
    EXPECT_EQ(other.actor.evaluation_seed, base.actor.evaluation_seed);
  }
  EXPECT_TRUE(base.first_start);
  EXPECT_FALSE(Options({}, /*start=*/2).first_start);
}

TEST(ActorOptionsFrom, NeedsTheAddresses) {
  config::v1::RunConfig config = Config({});
  config.mutable_endpoints()->clear_policy_trainer();
  const absl::Status status = OptionsFrom(config, 1).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(std::string(status.message()).find("endpoints.policy_trainer"), std::string::npos);
}

TEST(ActorOptionsFrom, CountsStarts) {
  EXPECT_EQ(*CountStart(Config({})), 1u);
  const std::string folder = testing::TempDir() + "/tandem_actor_state";
  const config::v1::RunConfig config = Config({"endpoints.state_dir=" + folder});
  const uint64_t first = *CountStart(config);
  EXPECT_EQ(*CountStart(config), first + 1);
}

}  // namespace
}  // namespace tandem::actor
