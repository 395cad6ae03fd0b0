#include "cli/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/time/clock.h"

namespace tandem::cli {
namespace {

class LauncherTest : public testing::Test {
 protected:
  LauncherTest() {
    dir_ = testing::TempDir() + "/launcher_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    policy_.first_pause = absl::Milliseconds(10);
    policy_.max_pause = absl::Milliseconds(40);
  }

  ~LauncherTest() override { std::filesystem::remove_all(dir_); }

  ChildSpec Shell(const std::string& member, const std::string& script) {
    return {member, {"/bin/sh", "-c", script}, Log(member), {{"WORD", "hello"}}, ""};
  }
  std::string Log(const std::string& member) { return dir_ + "/" + member + ".log"; }
  std::string Text(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::function<void(const ChildEvent&)> Record() {
    return [this](const ChildEvent& event) { events_.push_back(event); };
  }
  /// Polls until `done` or an error, at most 10 s.
  absl::Status PollUntil(Launcher& launcher, const std::function<bool()>& done) {
    for (int i = 0; i < 1000 && !done(); ++i) {
      if (const absl::Status status = launcher.Poll(); !status.ok()) return status;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return done() ? absl::OkStatus() : absl::DeadlineExceededError("nothing happened");
  }

  std::string dir_;
  RestartPolicy policy_;
  std::vector<ChildEvent> events_;
};

TEST_F(LauncherTest, ChildrenGetTheirEnvironmentAndLogs) {
  Launcher launcher(policy_, Clock::Real(), Record());
  ASSERT_TRUE(launcher.Start(Shell("a", "echo $WORD; echo oops >&2; exec sleep 60")).ok());
  EXPECT_TRUE(PollUntil(launcher, [&] { return Text(Log("a")) == "hello\noops\n"; }).ok());
  ASSERT_EQ(launcher.children().size(), 1u);
  EXPECT_EQ(getpgid(launcher.children()[0].pid), launcher.children()[0].pid);
}

TEST_F(LauncherTest, AMissingBinaryIsNotFound) {
  Launcher launcher(policy_, Clock::Real(), Record());
  const absl::Status status = launcher.Start({"a", {"/nowhere/binary"}, Log("a"), {}, ""});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/nowhere/binary"));
}

TEST_F(LauncherTest, ADeadChildIsRestarted) {
  Launcher launcher(policy_, Clock::Real(), Record());
  ASSERT_TRUE(launcher.Start(Shell("a", "exec sleep 60")).ok());
  const pid_t first = launcher.children()[0].pid;
  kill(first, SIGKILL);
  ASSERT_TRUE(PollUntil(launcher, [&] { return launcher.total_restarts() == 1; }).ok());
  EXPECT_NE(launcher.children()[0].pid, first);
  EXPECT_EQ(launcher.children()[0].last_death, "signal 9 (Killed)");
  ASSERT_EQ(events_.size(), 3u);
  EXPECT_EQ(events_[1].event, "died");
  EXPECT_EQ(events_[1].pid, first);
  EXPECT_EQ(events_[2].event, "restarted");
  EXPECT_EQ(events_[2].restarts, 1);
}

TEST_F(LauncherTest, TooManyRestartsEndTheRunWithTheLog) {
  policy_.max_restarts = 3;
  Launcher launcher(policy_, Clock::Real(), Record());
  ASSERT_TRUE(launcher.Start(Shell("actor-0", "echo cannot reach the rail; exit 7")).ok());
  const absl::Status status = PollUntil(launcher, [] { return false; });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(
      std::string(status.message()),
      testing::MatchesRegex(
          "actor-0 died \\(exit code 7: cannot reach the rail\\): it was restarted 3 times within "
          "5m; its log, .*/actor-0.log, ends with(.cannot reach the "
          "rail){4}"));
  EXPECT_EQ(launcher.total_restarts(), 3);
}

TEST_F(LauncherTest, RestartsPauseLongerEachTime) {
  FakeClock clock;
  policy_.first_pause = absl::Seconds(1);
  policy_.max_pause = absl::Seconds(3);
  Launcher launcher(policy_, &clock, Record());
  ASSERT_TRUE(launcher.Start(Shell("a", "exit 1")).ok());
  std::vector<int> pauses;
  for (int round = 0; round < 3; ++round) {
    const size_t before = events_.size();
    ASSERT_TRUE(PollUntil(launcher, [&] { return events_.size() == before + 1; }).ok());
    for (pauses.push_back(0); events_.size() == before + 1; ++pauses.back()) {
      ASSERT_LT(pauses.back(), 100);
      clock.Advance(absl::Milliseconds(100));
      ASSERT_TRUE(launcher.Poll().ok());
    }
  }
  EXPECT_THAT(pauses, testing::ElementsAre(10, 20, 30));
}

TEST_F(LauncherTest, WrongUsageAndFinalDeathsAreNotRestarted) {
  Launcher launcher(policy_, Clock::Real(), Record());
  ASSERT_TRUE(launcher.Start(Shell("a", "echo hello; echo unknown key; exit 2")).ok());
  EXPECT_EQ(PollUntil(launcher, [] { return false; }).message(),
            "a rejects its configuration: unknown key; its log is " + Log("a"));
  EXPECT_EQ(launcher.total_restarts(), 0);
  Launcher other(policy_, Clock::Real(), Record());
  ChildSpec spec = Shell("buffer", "exit 0");
  spec.why_death_is_final = "the experience is lost";
  ASSERT_TRUE(other.Start(spec).ok());
  EXPECT_THAT(std::string(PollUntil(other, [] { return false; }).message()),
              testing::HasSubstr("buffer died (exit code 0): the experience is lost"));
}

TEST_F(LauncherTest, StopLetsChildrenFinishAndKillsTheStubborn) {
  Launcher launcher(policy_, Clock::Real(), Record());
  ASSERT_TRUE(launcher
                  .Start(Shell("polite",
                               "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep "
                               "0.05; done"))
                  .ok());
  ASSERT_TRUE(
      launcher.Start(Shell("stubborn", "trap '' TERM; echo up; while :; do sleep 0.05; done"))
          .ok());
  const pid_t stubborn = launcher.children()[1].pid;
  ASSERT_TRUE(PollUntil(launcher, [&] {
                return !Text(Log("polite")).empty() && !Text(Log("stubborn")).empty();
              }).ok());
  EXPECT_THAT(launcher.StopAll(absl::Milliseconds(700)), testing::ElementsAre("stubborn"));
  EXPECT_EQ(Text(Log("polite")), "up\nbye\n");
  EXPECT_EQ(kill(stubborn, 0), -1);
  EXPECT_TRUE(launcher.children().empty());
}

TEST_F(LauncherTest, HurryCutsTheGraceShort) {
  Launcher launcher(policy_, Clock::Real(), Record());
  ASSERT_TRUE(launcher.Start(Shell("a", "trap '' TERM; while :; do sleep 0.05; done")).ok());
  const absl::Duration start = Clock::Real()->Monotonic();
  launcher.StopAll(absl::Seconds(30), [] { return true; });
  EXPECT_LT(Clock::Real()->Monotonic() - start, absl::Seconds(5));
}

TEST_F(LauncherTest, ChildrenAndTheirChildrenDieWithTheLauncher) {
  {
    Launcher launcher(policy_, Clock::Real(), Record());
    ASSERT_TRUE(
        launcher.Start(Shell("a", "(while :; do echo beat; sleep 0.02; done) & wait")).ok());
    ASSERT_TRUE(PollUntil(launcher, [&] { return Text(Log("a")).size() > 20; }).ok());
  }
  absl::SleepFor(absl::Milliseconds(100));
  const std::string before = Text(Log("a"));
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(Text(Log("a")), before);
}

TEST_F(LauncherTest, ADeathOfItsOwnMakingHasTheReasonThatTheLogGives) {
  Launcher launcher(policy_, Clock::Real(), Record());
  const std::string line = "2026-11-22T16:23:16.616Z E monitor UNAVAILABLE: the port is taken";
  ASSERT_TRUE(launcher.Start(Shell("a", "echo first; echo " + line + "; exit 1")).ok());
  ASSERT_TRUE(launcher.Start(Shell("b", "echo busy; kill -KILL $$")).ok());
  ASSERT_TRUE(PollUntil(launcher, [&] { return launcher.total_restarts() >= 2; }).ok());
  std::map<std::string, std::string> reasons;
  for (const ChildEvent& event : events_) {
    if (event.event == "died") reasons[event.member] = event.reason;
  }
  EXPECT_EQ(reasons["a"], "exit code 1: UNAVAILABLE: the port is taken");
  EXPECT_EQ(reasons["b"], "signal 9 (Killed)") << "somebody else's doing";
}

TEST_F(LauncherTest, LastWordsAreShort) {
  std::ofstream(dir_ + "/f") << "Z E\n" << std::string(1000, 'x') << "\n";
  EXPECT_EQ(LastWordsIn(dir_ + "/f").size(), 300u);
  std::string umlauts = "x";
  for (int i = 0; i < 200; ++i) umlauts += "\u00e4";
  std::ofstream(dir_ + "/u") << umlauts << "\n";
  EXPECT_EQ(LastWordsIn(dir_ + "/u"), umlauts.substr(0, 295) + " ...") << "of whole characters";
  std::ofstream(dir_ + "/g") << "a line of another program\n";
  EXPECT_EQ(LastWordsIn(dir_ + "/g"), "a line of another program");
  EXPECT_EQ(LastWordsIn(dir_ + "/none"), "");
}

TEST_F(LauncherTest, TailOfFileGivesTheLastLines) {
  std::ofstream(dir_ + "/f") << "1\n2\n3\n";
  EXPECT_EQ(TailOfFile(dir_ + "/f", 2), "2\n3");
  EXPECT_EQ(TailOfFile(dir_ + "/none", 2), "");
  std::ofstream(dir_ + "/b") << "no motor \xff\n";
  EXPECT_EQ(TailOfFile(dir_ + "/b", 2), "no motor \uFFFD");
  EXPECT_EQ(DescribeLog("/none"), "its log, /none, is empty");
}

}  // namespace
}  // namespace tandem::cli
