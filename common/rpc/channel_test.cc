#include "common/rpc/channel.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tandem::rpc {
namespace {

TEST(BackoffTest, GrowsToTwoSecondsWithJitter) {
  Backoff backoff;
  double whole = 0.1;
  for (int i = 0; i < 40; ++i) {
    const absl::Duration pause = backoff.Next();
    EXPECT_GE(pause, absl::Seconds(whole / 2));
    EXPECT_LE(pause, absl::Seconds(whole));
    whole = std::min(2.0, 2 * whole);
  }
  backoff.Reset();
  EXPECT_LE(backoff.Next(), absl::Seconds(0.1));
}

TEST(BackoffTest, ObjectsDrawTheirOwnNumbers) {
  Backoff a, b;
  EXPECT_NE(a.Next(), b.Next());
}

TEST(SetDeadlineTest, CountsFromNow) {
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(5));
  const auto left = context.deadline() - std::chrono::system_clock::now();
  EXPECT_GT(left, std::chrono::seconds(4));
  EXPECT_LE(left, std::chrono::seconds(5));
}

TEST(PeerLogTest, FirstSecondIsQuiet) {
  PeerLog log("replay_buffer", "unix:/nowhere");
  testing::internal::CaptureStderr();
  log.Failed(absl::UnavailableError("absent"));
  log.Connected();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace tandem::rpc
