#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/nearest.h"
#include "common/base/status_macros.h"
#include "common/base/stop_signal.h"

namespace tandem {
namespace {

TEST(Clock, RealMonotonicNeverGoesBack) {
  absl::Duration last = Clock::Real()->Monotonic();
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration now = Clock::Real()->Monotonic();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  EXPECT_EQ(clock.Monotonic(), absl::ZeroDuration());
  clock.Advance(absl::Seconds(3));
  EXPECT_EQ(clock.Monotonic(), absl::Seconds(3));
  EXPECT_EQ(clock.Now() - start, absl::Seconds(3));
}

TEST(StopSignal, StopEndsALongSleepFromAnotherThread) {
  StopSignal stop;
  const absl::Time start = absl::Now();
  std::thread other([&stop] {
    absl::SleepFor(absl::Milliseconds(20));
    stop.Stop();
  });
  EXPECT_FALSE(stop.Sleep(absl::Seconds(30)));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_FALSE(stop.Sleep(absl::Seconds(30)));
  other.join();
}

TEST(StopSignal, SleepsToTheEndUnlessStopped) {
  StopSignal stop;
  const absl::Time start = absl::Now();
  EXPECT_TRUE(stop.Sleep(absl::Milliseconds(30)));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(29));
}

TEST(ParseHostPort, TakesPortsOfTheSystemOnly) {
  EXPECT_EQ(ParseHostPort("127.0.0.1:0")->port, 0);
  EXPECT_EQ(ParseHostPort("[::1]:65535")->host, "[::1]");
  EXPECT_EQ(ParseHostPort("[::1]:65535")->port, 65535);
  EXPECT_EQ(ParseHostPort(":80")->host, "");
  EXPECT_EQ(ParseHostPort("127.0.0.1:99999").status().message(),
            "\"127.0.0.1:99999\": expected \"host:port\", port 0 to 65535");
  for (const char* bad : {"", "x", "x:", "x:y", "x:-1", "x:+1", "x: 1", "x:65536", "x:1y"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseHostPort(bad).status())) << bad;
  }
}

TEST(Nearest, NamesTheLikelyMistake) {
  const std::vector<std::string> names = {"cartpole_continuous", "inverted_pendulum", "pendulum"};
  EXPECT_EQ(NearestName("pendelum", names), "pendulum");
  EXPECT_EQ(NearestName("inverted-pendulum", names), "inverted_pendulum");
  EXPECT_EQ(NearestName("cartpole", {"cart", "cartploe", "carpool"}), "cartploe");  // a swap is 1
  EXPECT_EQ(NearestName("rl", {"tau", "lr"}), "lr");
  EXPECT_EQ(NearestName("tua", {"taut", "tau"}), "tau") << "the nearer one";
  EXPECT_EQ(NearestName("ball", {"ant", "hopper"}), "") << "another word";
  EXPECT_EQ(NearestName("nosuch", {"ant", "hopper"}), "");
  EXPECT_EQ(NearestName("x", {"b", "a"}), "") << "nothing in common";
  EXPECT_EQ(NearestName("", {"ab", "a"}), "");
  EXPECT_EQ(NearestName("x", {}), "");
}

TEST(Log, OneLineWithLevelAndProcess) {
  InitLog("actor-0");
  testing::internal::CaptureStderr();
  LogWarning("waiting for replay_buffer");
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(line.size(), std::string("2026-01-31T12:00:00.000Z W actor-0 \n").size() +
                             std::string("waiting for replay_buffer").size());
  EXPECT_EQ(line.substr(23), "Z W actor-0 waiting for replay_buffer\n");
}

TEST(CheckDeathTest, NamesTheCondition) {
  EXPECT_DEATH(TANDEM_CHECK(1 + 1 == 3), "base_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3");
}

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError("odd");
  return n / 2;
}

absl::StatusOr<int> Quarter(int n) {
  TANDEM_ASSIGN_OR_RETURN(const int half, Half(n));
  TANDEM_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

TEST(StatusMacros, PassOnValueAndError) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
}

}  // namespace
}  // namespace tandem
