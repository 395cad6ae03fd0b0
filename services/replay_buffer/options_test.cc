#include "services/replay_buffer/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace tandem {
namespace {

absl::StatusOr<ReplayOptions> Options(std::vector<std::string> overrides) {
  overrides.push_back("env.name=pendulum");
  const auto config = config::Load("", overrides);
  EXPECT_TRUE(config.ok()) << config.status();
  return ReplayOptionsFrom(*config);
}

TEST(ReplayOptionsTest, TakesFieldsAndDefaults) {
  const auto options =
      Options({"endpoints.listen=unix:/a", "replay.capacity=5000", "replay.holdout_fraction=0.1",
               "pace.mode=ASYNC", "pace.band_steps=9", "actor.num_envs=4",
               "policy.publish_interval=11", "stop.max_env_steps=777", "runtime.drain_seconds=2"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->member, "replay_buffer");
  EXPECT_EQ(options->server.address, "unix:/a");
  EXPECT_EQ(options->buffer.capacity, 5000);
  EXPECT_DOUBLE_EQ(options->buffer.holdout_fraction, 0.1);
  EXPECT_EQ(options->buffer.pace.mode, PaceMode::kAsync);
  EXPECT_EQ(options->buffer.pace.band_steps, 9);
  EXPECT_EQ(options->buffer.pace.num_envs, 4);
  EXPECT_EQ(options->buffer.pace.publish_interval, 11);
  EXPECT_EQ(options->buffer.pace.max_env_steps, 777);
  EXPECT_EQ(options->buffer.pace.warmup_steps, 250);
  EXPECT_DOUBLE_EQ(options->buffer.pace.updates_per_step, 10);
  EXPECT_FALSE(options->buffer.pace.return_at_least.has_value());
  EXPECT_EQ(options->buffer.incarnation, 1u);
  EXPECT_EQ(options->drain, absl::Seconds(2));
}

TEST(ReplayOptionsTest, LockstepIsTheDefaultAndAGoalIsOptional) {
  const auto options = Options(
      {"endpoints.replay_buffer=unix:/b", "stop.return_at_least=0", "stop.evaluations_in_a_row=3"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->server.address, "unix:/b") << "where nothing else is said";
  EXPECT_EQ(options->buffer.pace.mode, PaceMode::kLockstep);
  EXPECT_EQ(options->buffer.pace.return_at_least, 0);
  EXPECT_EQ(options->buffer.pace.evaluations_in_a_row, 3);
}

TEST(ReplayOptionsTest, TheMonitorIsInLockstepWhereItActsUnlessToldOtherwise) {
  const auto in_lockstep = [](std::vector<std::string> overrides) {
    overrides.push_back("endpoints.listen=unix:/a");
    return Options(overrides)->buffer.pace.monitor_in_lockstep;
  };
  EXPECT_FALSE(in_lockstep({}));
  EXPECT_TRUE(in_lockstep({"control.mode=ACT"}));
  EXPECT_FALSE(in_lockstep({"control.mode=ACT", "monitor.in_lockstep=false"}));
  EXPECT_TRUE(in_lockstep({"monitor.in_lockstep=true"}));
  EXPECT_EQ(Options({"endpoints.listen=unix:/a", "control.ttl_seconds=7"})->buffer.monitor_ttl,
            absl::Seconds(7));
}

TEST(ReplayOptionsTest, CountsItsStarts) {
  char name[] = "/tmp/tandem-options-XXXXXX";
  const std::string dir = mkdtemp(name);
  for (uint64_t start = 1; start <= 3; ++start) {
    const auto options =
        Options({"endpoints.listen=unix:/a", "endpoints.state_dir=" + dir + "/state"});
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_EQ(options->buffer.incarnation, start);
  }
  std::filesystem::remove_all(dir);
}

TEST(ReplayOptionsTest, NeedsAnAddress) {
  EXPECT_THAT(Options({}).status().message(), testing::HasSubstr("endpoints.listen"));
}

}  // namespace
}  // namespace tandem
