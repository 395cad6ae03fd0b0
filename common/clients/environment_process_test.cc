#include "common/clients/environment_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "absl/strings/match.h"

namespace tandem::clients {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

bool Never() { return false; }

/// Waits for something, 5 s at most.
bool Soon(const std::function<bool()>& happened) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!happened() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return happened();
}

std::unique_ptr<EnvironmentProcess> StartServer(const std::string& mode = "") {
  const std::string server =
      std::string(std::getenv("TANDEM_BINARY_DIR")) + "/bin/env_server_for_tests";
  auto process = EnvironmentProcess::Start({.argv = {server, mode}});
  EXPECT_TRUE(process.ok()) << process.status();
  return *std::move(process);
}

TEST(OutputTailTest, KeepsTheLastLines) {
  OutputTail tail;
  for (int i = 0; i < 100; ++i) tail.Add("line " + std::to_string(i));
  EXPECT_THAT(tail.Text(), HasSubstr("line 60\n"));
  EXPECT_THAT(tail.Text(), Not(HasSubstr("line 59\n")));
  for (int i = 0; i < 5; ++i) tail.Add(std::string(1000, 'x'));
  EXPECT_LE(tail.Text().size(), 4096u);
  EXPECT_GE(tail.Text().size(), 4000u);
}

TEST(RepeatFilterTest, CountsWhatRepeatsAndDropsWhatIsEmpty) {
  RepeatFilter filter;
  using Lines = std::vector<std::string>;
  EXPECT_EQ(filter.Add("loading"), Lines{"loading"});
  EXPECT_EQ(filter.Add(""), Lines{});
  EXPECT_EQ(filter.Add("  "), Lines{});
  EXPECT_EQ(filter.Add("loading"), Lines{});
  EXPECT_EQ(filter.Add("loading"), Lines{});
  EXPECT_EQ(filter.Add("ready"), (Lines{"(3 times)", "ready"}));
  EXPECT_EQ(filter.Flush(), Lines{});
  EXPECT_EQ(filter.Add("ready"), Lines{"ready"});
  EXPECT_EQ(filter.Add("ready"), Lines{});
  EXPECT_EQ(filter.Flush(), Lines{"(2 times)"});
}

TEST(LineLimitTest, LetsATracebackThroughButNoFlood) {
  LineLimit limit;
  size_t passed = 0;
  for (int i = 0; i < 1000; ++i) passed += limit.Add("line", absl::Seconds(1)).size();
  EXPECT_EQ(passed, 200u);
  using Lines = std::vector<std::string>;
  EXPECT_EQ(limit.Add("later", absl::Seconds(2)), (Lines{"(800 lines dropped)", "later"}));
  EXPECT_EQ(limit.Flush(), Lines{});
}

TEST(PrintableTest, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("\x1b[2J\ta 'b'\n\x07\x7f\u00fc"), "\\x1b[2J\ta 'b'\n\\x07\\x7f\u00fc");
}

TEST(EnvironmentProcessTest, ListensAndIsHeard) {
  const auto process = StartServer();
  const auto ready = process->AwaitListening(absl::Seconds(10), Never);
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(*ready, 1u);
  EXPECT_FALSE(process->Dead(1));
  EXPECT_TRUE(Soon([&] { return absl::StrContains(process->LastWords(), "ready for the test"); }));
  EXPECT_EQ(getpgid(process->pid()), process->pid());
}

TEST(EnvironmentProcessTest, ComesBackWhenItWasKilled) {
  const auto process = StartServer();
  ASSERT_TRUE(process->AwaitListening(absl::Seconds(10), Never).ok());
  kill(process->pid(), SIGKILL);
  EXPECT_TRUE(process->AwaitDeath(1, absl::Seconds(5)));
  const auto ready = process->AwaitListening(absl::Seconds(10), Never);
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(*ready, 2u);
  EXPECT_TRUE(process->Dead(1));
  EXPECT_THAT(process->LastWords(), HasSubstr("signal 9 (Killed)"));
  process->Kill(1);
  EXPECT_FALSE(process->Dead(2)) << "not the one that was meant";
  process->Kill(2);
  EXPECT_TRUE(process->AwaitDeath(2, absl::Seconds(5)));
}

TEST(EnvironmentProcessTest, OneThatDiesAtOnceSaysWhy) {
  const auto process = StartServer("die");
  const absl::Status status = process->AwaitListening(absl::Seconds(10), Never).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(status.ToString(), HasSubstr("exit code 3"));
  EXPECT_THAT(status.ToString(), HasSubstr("no module named 'robots'"));
}

TEST(EnvironmentProcessTest, OneThatEndsWellIsAskedWhetherItServes) {
  const auto process = *EnvironmentProcess::Start({.argv = {"true"}});
  EXPECT_THAT(std::string(process->AwaitListening(absl::Seconds(10), Never).status().message()),
              HasSubstr("exit code 0 (does it call tandem_env.serve?)"));
}

TEST(EnvironmentProcessTest, KeepsItsOutputToItselfWhereAsked) {
  testing::internal::CaptureStderr();
  {
    const auto process = *EnvironmentProcess::Start(
        {.argv = {"sh", "-c", "echo a word; exit 7"}, .log_output = false});
    EXPECT_TRUE(process->AwaitDeath(1, absl::Seconds(5)));
    EXPECT_THAT(process->LastWords(), HasSubstr("a word"));
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(EnvironmentProcessTest, ADeathIsToldWithTheLastWordsAndWithoutHeirs) {
  const auto process = *EnvironmentProcess::Start(
      {.argv = {"sh", "-c", "sleep 100 & echo child $!; printf 'no newline\\033'; exit 7"}});
  EXPECT_TRUE(process->AwaitDeath(1, absl::Seconds(5)));
  const std::string words = process->LastWords();
  EXPECT_THAT(words, HasSubstr("exit code 7"));
  EXPECT_THAT(words, HasSubstr("no newline\\x1b"));
  const pid_t child = std::atoi(words.substr(words.find("child ") + 6).c_str());
  EXPECT_TRUE(Soon([&] { return absl::StrContains(process->LastWords(), "--- start 2 ---"); }));
  std::ifstream file("/proc/" + std::to_string(child) + "/stat");
  std::string id, name, state = "gone";
  file >> id >> name >> state;
  EXPECT_THAT(state, testing::AnyOf("gone", "Z", "X"));
}

TEST(EnvironmentProcessTest, OneThatNeverListensIsKilled) {
  const auto process = StartServer("deaf");
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(process->AwaitListening(absl::Milliseconds(200), Never).status()));
  EXPECT_TRUE(process->AwaitDeath(1, absl::Seconds(5)));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(process->AwaitListening(absl::Milliseconds(200), Never).status()))
      << "the next one had its time from its start on";
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(200));
  EXPECT_TRUE(
      absl::IsCancelled(process->AwaitListening(absl::Seconds(10), [] { return true; }).status()));
}

TEST(EnvironmentProcessTest, LeavesNothingBehind) {
  std::string folder;
  pid_t pid = 0, grandchild = 0;
  {
    auto process = EnvironmentProcess::Start(
        {.argv = {"sh", "-c", "echo $WORD; sleep 100 & echo child $!; wait"},
         .environment = {{"WORD", "hello"}}});
    ASSERT_TRUE(process.ok()) << process.status();
    pid = (*process)->pid();
    folder = std::filesystem::path((*process)->address().substr(5)).parent_path();
    EXPECT_TRUE(Soon([&] { return absl::StrContains((*process)->LastWords(), "child "); }));
    const std::string words = (*process)->LastWords();
    EXPECT_THAT(words, HasSubstr("hello\n"));
    grandchild = std::atoi(words.substr(words.find("child ") + 6).c_str());
    EXPECT_EQ(getpgid(grandchild), pid);
    EXPECT_TRUE(std::filesystem::exists(folder));
  }
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_TRUE(Soon([&] { return getpgid(grandchild) != pid; }));
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(EnvironmentProcessTest, EndsOneThatDoesNotWantToEnd) {
  auto process = *EnvironmentProcess::Start(
      {.argv = {"sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"}});
  EXPECT_TRUE(Soon([&] { return absl::StrContains(process->LastWords(), "up"); }));
  const pid_t pid = process->pid();
  process.reset();
  EXPECT_NE(kill(pid, 0), 0);
}

TEST(EnvironmentProcessTest, AnAbsentProgramIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(EnvironmentProcess::Start({.argv = {"no-such-thing"}}).status()));
}

}  // namespace
}  // namespace tandem::clients
