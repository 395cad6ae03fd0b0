#include "services/monitor/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config/config.h"

namespace tandem::monitor {
namespace {

const std::vector<std::string> kAddresses = {
    "env.name=pendulum", "endpoints.listen=127.0.0.1:0", "endpoints.replay_buffer=unix:/r",
    "endpoints.model_trainer=unix:/m", "endpoints.policy_trainer=unix:/p"};

TEST(OptionsTest, TakesThresholdsAndPeersFromTheConfig) {
  std::vector<std::string> overrides = kAddresses;
  overrides.insert(overrides.end(), {"monitor.tolerance=0.3", "monitor.warning=0.2",
                                     "monitor.window=50", "monitor.interval_seconds=60"});
  const auto config = config::Load("", overrides);
  ASSERT_TRUE(config.ok()) << config.status();
  const auto options = OptionsFrom(*config);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->judge.thresholds.tolerance, 0.3);
  EXPECT_EQ(options->judge.thresholds.warning, 0.2);
  EXPECT_EQ(options->judge.thresholds.min_window_steps, 50);
  EXPECT_EQ(options->judge.thresholds.stale_seconds, 600);
  EXPECT_EQ(options->replay_buffer, "unix:/r");
  EXPECT_EQ(options->policy_trainer, "unix:/p");
}

TEST(OptionsTest, AMissingPeerIsNamed) {
  const auto config = config::Load("", {"env.name=pendulum", "endpoints.listen=127.0.0.1:0"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(std::string(OptionsFrom(*config).status().message()),
              ::testing::HasSubstr("endpoints.model_trainer"));
}

}  // namespace
}  // namespace tandem::monitor
