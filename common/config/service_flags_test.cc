#include "common/config/service_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace tandem::config {
namespace {

ServiceArgs ParseLine(std::vector<std::string> words) {
  words.insert(words.begin(), "tandem_actor");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return ParseServiceArgs(static_cast<int>(argv.size()), argv.data(), "actor", "Collects steps.");
}

TEST(ServiceFlags, ReadTheFileAndTheOverrides) {
  const std::string path = testing::TempDir() + "/service_flags_test.yaml";
  std::ofstream(path) << "env: {name: pendulum}\npolicy: {lr: 1}\n";
  const ServiceArgs args = ParseLine({"--config", path, "policy.lr=2", "stop.return_at_least=-5"});
  EXPECT_FALSE(args.exit);
  EXPECT_EQ(args.config.env().name(), "pendulum");
  EXPECT_DOUBLE_EQ(args.config.policy().lr(), 2);
  EXPECT_DOUBLE_EQ(args.config.stop().return_at_least(), -5);
  EXPECT_EQ(args.config.endpoints().member(), "actor");
}

TEST(ServiceFlags, AnErrorIsOneLine) {
  testing::internal::CaptureStderr();
  const ServiceArgs args = ParseLine({"polcy.lr=2"});
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "tandem_actor: override \"polcy.lr=2\": unknown key \"polcy\"; did you mean "
            "\"policy\"?\n");
  EXPECT_TRUE(args.exit);
  EXPECT_EQ(args.exit_code, 2);
  testing::internal::CaptureStderr();
  EXPECT_EQ(ParseLine({"--confg", "x"}).exit_code, 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("--confg"));
}

TEST(ServiceFlags, OptionsThatNoRestartCanHelpExitWith2) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(RefuseOptions("monitor", absl::InvalidArgumentError("set endpoints.listen")), 2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "tandem_monitor: set endpoints.listen\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(RefuseOptions("monitor", absl::FailedPreconditionError("no CUDA device")), 2);
  EXPECT_EQ(RefuseOptions("monitor", absl::ResourceExhaustedError("write /x: disk full")), 1);
  testing::internal::GetCapturedStderr();
}

TEST(ServiceFlags, VersionAndHelpGoToStandardOutput) {
  testing::internal::CaptureStdout();
  const ServiceArgs version = ParseLine({"--version"});
  EXPECT_THAT(testing::internal::GetCapturedStdout(), testing::StartsWith("tandem_actor "));
  EXPECT_TRUE(version.exit);
  EXPECT_EQ(version.exit_code, 0);
  testing::internal::CaptureStdout();
  EXPECT_EQ(ParseLine({"--help"}).exit_code, 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), testing::HasSubstr("Collects steps."));
}

}  // namespace
}  // namespace tandem::config
