#include "common/clients/testing/fake_replay_client.h"

#include <gtest/gtest.h>

namespace tandem {
namespace {

TransitionBatch Steps(int64_t n, Split split) {
  TransitionBatch b;
  b.obs_dim = 1;
  b.action_dim = 1;
  for (int64_t i = 0; i < n; ++i) {
    b.observations.push_back(static_cast<float>(i));
    b.actions.push_back(0);
    b.rewards.push_back(1);
    b.next_observations.push_back(static_cast<float>(i + 1));
    b.terminated.push_back(0);
    b.truncated.push_back(0);
    b.indices.push_back(0);
    b.episodes.push_back(0);
    b.times.push_back(i);
    b.policy_versions.push_back(0);
    b.splits.push_back(static_cast<uint8_t>(split));
  }
  return b;
}

TEST(FakeReplayClientTest, AnswersTheScriptAndThenStops) {
  FakeReplayClient replay;
  replay.AddGrant({.granted = 20, .through_index = 250});
  EXPECT_EQ(replay.Advance({.member = "p"}, absl::ZeroDuration())->granted, 20);
  EXPECT_FALSE(replay.Advance({.member = "p"}, absl::ZeroDuration())->stop);
  replay.StopWhenOutOfGrants();
  EXPECT_TRUE(replay.Advance({.member = "p"}, absl::Seconds(5))->stop);
  EXPECT_EQ(replay.calls("Advance"), 3);
  EXPECT_EQ(replay.progress().size(), 3u);
}

TEST(FakeReplayClientTest, FailsAsOftenAsToldAndAppendsOnce) {
  FakeReplayClient replay;
  const auto session = replay.OpenWriter("a", EnvironmentSpec{.name = "x"});
  replay.FailNext(absl::UnavailableError("gone"), 2);
  Segment segment;
  segment.rewards = {1, 2};
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(replay.Append("a", session->epoch, 1, {segment}, {}).status().code(),
              absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(replay.Append("a", session->epoch, 1, {segment}, {})->end_index, 2);
  EXPECT_EQ(replay.Append("a", session->epoch, 1, {segment}, {})->end_index, 2);
  EXPECT_EQ(replay.Append("a", session->epoch, 3, {segment}, {}).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(replay.appended().size(), 1u);
}

TEST(FakeReplayClientTest, SamplesAndTailsOneSplitBelowTheBound) {
  FakeReplayClient replay;
  replay.AddSteps(Steps(4, Split::kTrain));
  replay.AddSteps(Steps(3, Split::kHoldout));
  auto tail = replay.OpenTail({.split = Split::kHoldout, .through_index = 6});
  const auto chunk = (*tail)->Receive(absl::ZeroDuration());
  EXPECT_EQ(chunk->transitions.indices, (std::vector<int64_t>{4, 5}));
  EXPECT_EQ((*tail)->Receive(absl::ZeroDuration()).status().code(), absl::StatusCode::kOutOfRange);

  auto sample = replay.OpenSample({.batch_size = 16, .seed = 3});
  ASSERT_TRUE((*sample)->Request(1, 2).ok());
  const auto batch = (*sample)->Receive(absl::ZeroDuration());
  ASSERT_EQ(batch->transitions.size(), 16);
  for (const int64_t index : batch->transitions.indices) EXPECT_LT(index, 2);
  EXPECT_EQ((*sample)->Receive(absl::ZeroDuration()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tandem
