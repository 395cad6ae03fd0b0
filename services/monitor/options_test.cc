#include "services/monitor/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

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

TEST(OptionsTest, ATokenFileThatOthersMayReadOrThatIsNotThereIsRefused) {
  const std::string file = testing::TempDir() + "/options_test_token";
  const std::string state = testing::TempDir() + "/options_test_state";
  std::filesystem::remove_all(state);
  const auto read = [&file, &state] {
    std::vector<std::string> overrides = kAddresses;
    overrides.push_back("control.token_file=" + file);
    overrides.push_back("endpoints.state_dir=" + state);
    const auto config = config::Load("", overrides);
    return config.ok() ? OptionsFrom(*config).status() : config.status();
  };
  std::filesystem::remove(file);
  EXPECT_TRUE(absl::IsFailedPrecondition(read())) << read();
  std::ofstream(file) << "0123456789abcdef";
  chmod(file.c_str(), 0644);
  EXPECT_TRUE(absl::IsFailedPrecondition(read())) << read();
  EXPECT_THAT(std::string(read().message()), testing::HasSubstr("chmod 600"));
  chmod(file.c_str(), 0600);
  EXPECT_TRUE(read().ok()) << read();
  std::filesystem::remove(file);
  std::filesystem::create_directories(state);
  std::ofstream(state + "/history.jsonl") << "";
  EXPECT_TRUE(absl::IsUnavailable(read())) << "no mistake of a run that had begun: " << read();
  std::filesystem::remove_all(state);
}

TEST(OptionsTest, TakesTheControllerAndTheRecipesKnobsFromTheConfig) {
  std::vector<std::string> overrides = kAddresses;
  overrides.insert(
      overrides.end(),
      {"monitor.false_alarm_interval=500", "monitor.early_alarm_interval=30", "control.mode=ACT",
       "control.max_actions_per_hour=3", "control.recover_refits=7",
       "control.knobs=rollout_horizon, real_share", "control.ttl_seconds=60",
       "imagination.horizon_end=9", "imagination.real_share=0.1", "pace.updates_per_step=4",
       "endpoints.state_dir=/s"});
  const auto config = config::Load("", overrides);
  ASSERT_TRUE(config.ok()) << config.status();
  const auto options = OptionsFrom(*config);
  ASSERT_TRUE(options.ok()) << options.status();
  const JudgeOptions& judge = options->judge;
  EXPECT_EQ(judge.thresholds.false_alarm_interval, 500);
  EXPECT_EQ(judge.thresholds.early_alarm_interval, 30);
  EXPECT_TRUE(judge.control);
  EXPECT_TRUE(judge.controller.act);
  EXPECT_EQ(judge.controller.max_actions_per_hour, 3);
  EXPECT_EQ(judge.controller.recover_refits, 7);
  EXPECT_THAT(judge.controller.allowed, ::testing::ElementsAre(coadaptation::Knob::kRolloutHorizon,
                                                               coadaptation::Knob::kRealShare));
  EXPECT_EQ(judge.controller.horizon, 9);
  EXPECT_EQ(judge.controller.real_share, 0.1);
  EXPECT_EQ(judge.controller.updates_per_step, 4);
  EXPECT_EQ(judge.desk.ttl, absl::Seconds(60));
  EXPECT_EQ(judge.history_path, "/s/history.jsonl");
}

TEST(OptionsTest, AdviceIsTheDefaultAndOffIsOff) {
  const auto advise = OptionsFrom(*config::Load("", kAddresses));
  ASSERT_TRUE(advise.ok()) << advise.status();
  EXPECT_TRUE(advise->judge.control);
  EXPECT_FALSE(advise->judge.controller.act);
  std::vector<std::string> overrides = kAddresses;
  overrides.push_back("control.mode=OFF");
  EXPECT_FALSE(OptionsFrom(*config::Load("", overrides))->judge.control);
}

TEST(OptionsTest, AnUnknownKnobIsNamed) {
  std::vector<std::string> overrides = kAddresses;
  overrides.push_back("control.knobs=real_share,horizon");
  EXPECT_THAT(std::string(OptionsFrom(*config::Load("", overrides)).status().message()),
              ::testing::HasSubstr("'horizon'"));
}

TEST(OptionsTest, TheDashboardKnowsTheRunAndItsAddressIsChecked) {
  std::vector<std::string> overrides = kAddresses;
  overrides.insert(overrides.end(), {"run.name=mine", "monitor.dashboard=127.0.0.1:0",
                                     "imagination.real_share=0.1", "control.mode=ACT"});
  const auto options = OptionsFrom(*config::Load("", overrides));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->dashboard.address, "127.0.0.1:0");
  EXPECT_EQ(options->dashboard.facts.name, "mine");
  EXPECT_EQ(options->dashboard.facts.control, "act");
  EXPECT_EQ(options->dashboard.facts.recipe.at(coadaptation::Knob::kRealShare), 0.1);
  EXPECT_EQ(OptionsFrom(*config::Load("", kAddresses))->dashboard.address, "") << "none by default";
  overrides.push_back("monitor.dashboard=8080");
  EXPECT_TRUE(absl::IsInvalidArgument(OptionsFrom(*config::Load("", overrides)).status()));
}

TEST(OptionsTest, AMissingPeerIsNamed) {
  const auto config = config::Load("", {"env.name=pendulum", "endpoints.listen=127.0.0.1:0"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(std::string(OptionsFrom(*config).status().message()),
              ::testing::HasSubstr("endpoints.model_trainer"));
}

}  // namespace
}  // namespace tandem::monitor
