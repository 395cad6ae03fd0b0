#include "services/model_trainer/core/transition_mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <utility>

#include "common/base/rng.h"
#include "common/clients/testing/fake_replay_client.h"

namespace tandem::model_trainer {
namespace {

using testing::ElementsAre;

constexpr int64_t kCapacity = 1000;

EnvironmentSpec Spec() {
  return {.name = "test",
          .observation = {.low = {-1, -1}, .high = {1, 1}},
          .action = {.low = {-1}, .high = {1}}};
}

/// `count` steps whose first observation is their number from `first` on; each fifth is held out.
TransitionBatch Steps(int64_t first, int64_t count) {
  TransitionBatch steps{.obs_dim = 2, .action_dim = 1};
  for (int64_t i = first; i < first + count; ++i) {
    const float value = static_cast<float>(i);
    steps.observations.insert(steps.observations.end(), {value, -value});
    steps.actions.push_back(value / 2);
    steps.rewards.push_back(value * 2);
    steps.next_observations.insert(steps.next_observations.end(), {value + 1, -value - 1});
    steps.terminated.push_back(i % 7 == 6);
    steps.truncated.push_back(0);
    steps.episodes.push_back(i / 7);
    steps.times.push_back(i % 7);
    steps.policy_versions.push_back(1);
    steps.splits.push_back(static_cast<uint8_t>(i % 5 == 4 ? Split::kHoldout : Split::kTrain));
  }
  return steps;
}

/// Hands rows out three at a time, and breaks each stream after `chunks_each` chunks.
class BreakingClient : public FakeReplayClient {
 public:
  explicit BreakingClient(int chunks_each) : chunks_each_(chunks_each) {}

  absl::StatusOr<std::unique_ptr<TailStream>> OpenTail(const TailRequest& request) override {
    opened_from_.push_back(request.from_index);
    return std::make_unique<Stream>(*this, request, chunks_each_);
  }
  const std::vector<int64_t>& opened_from() const { return opened_from_; }

 private:
  class Stream : public TailStream {
   public:
    Stream(BreakingClient& client, TailRequest request, int chunks)
        : client_(client), request_(request), chunks_(chunks) {}
    absl::StatusOr<TailChunk> Receive(absl::Duration timeout) override {
      if (request_.from_index >= request_.through_index) return absl::OutOfRangeError("all sent");
      if (chunks_-- == 0) return absl::UnavailableError("connection reset");
      TailRequest part = request_;
      part.through_index = std::min(request_.from_index + 3, request_.through_index);
      auto tail = client_.FakeReplayClient::OpenTail(part);
      if (!tail.ok()) return tail.status();
      request_.from_index = part.through_index;
      return (*tail)->Receive(timeout);
    }

   private:
    BreakingClient& client_;
    TailRequest request_;
    int chunks_;
  };

  const int chunks_each_;
  std::vector<int64_t> opened_from_;
};

class TransitionMirrorTest : public testing::Test {
 protected:
  TransitionMirror Mirror(ReplayClient& replay, Split split, int64_t capacity = kCapacity) {
    return TransitionMirror(replay, Spec(), split, capacity, stop_, *Clock::Real());
  }
  StopSignal stop_;
};

TEST_F(TransitionMirrorTest, HoldsItsSplitBelowTheIndexAndNothingElse) {
  FakeReplayClient replay;
  replay.AddSteps(Steps(0, 12));
  TransitionMirror holdout = Mirror(replay, Split::kHoldout);
  TransitionMirror train = Mirror(replay, Split::kTrain);
  ASSERT_TRUE(holdout.Update(9).ok());
  ASSERT_TRUE(train.Update(9).ok());
  EXPECT_THAT(holdout.rows().indices, ElementsAre(4));
  EXPECT_THAT(train.rows().indices, ElementsAre(0, 1, 2, 3, 5, 6, 7, 8));
  EXPECT_THAT(train.rows().rewards, ElementsAre(0, 2, 4, 6, 10, 12, 14, 16));
  EXPECT_EQ(train.next_index(), 9);
  EXPECT_TRUE(train.rows().episodes.empty());
}

TEST_F(TransitionMirrorTest, FetchesOnlyWhatIsNew) {
  FakeReplayClient replay;
  replay.AddSteps(Steps(0, 10));
  TransitionMirror mirror = Mirror(replay, Split::kTrain);
  ASSERT_TRUE(mirror.Update(10).ok());
  ASSERT_TRUE(mirror.Update(10).ok());
  EXPECT_EQ(replay.calls("OpenTail"), 1);
  replay.AddSteps(Steps(10, 5));
  ASSERT_TRUE(mirror.Update(15).ok());
  EXPECT_EQ(replay.calls("OpenTail"), 2);
  EXPECT_EQ(mirror.rows().size(), 12);
  EXPECT_EQ(mirror.rows().observations[22], 13);
}

TEST_F(TransitionMirrorTest, GoesOnFromWhereABrokenStreamEnded) {
  BreakingClient replay(/*chunks_each=*/2);
  replay.AddSteps(Steps(0, 20));
  TransitionMirror mirror = Mirror(replay, Split::kAll);
  ASSERT_TRUE(mirror.Update(20).ok());
  EXPECT_THAT(replay.opened_from(), ElementsAre(0, 6, 12, 18));
  ASSERT_EQ(mirror.rows().size(), 20);
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(mirror.rows().indices[i], i);
}

TEST_F(TransitionMirrorTest, DropsWhatTheBufferHasEvicted) {
  FakeReplayClient replay;
  replay.AddSteps(Steps(0, 30));
  TransitionMirror mirror = Mirror(replay, Split::kAll, /*capacity=*/8);
  ASSERT_TRUE(mirror.Update(30).ok());
  EXPECT_THAT(mirror.rows().indices, ElementsAre(22, 23, 24, 25, 26, 27, 28, 29));
  EXPECT_EQ(mirror.rows().observations.size(), 16u);
  EXPECT_EQ(mirror.rows().observations[0], 22);
  EXPECT_EQ(mirror.rows().next_observations[15], -30);
}

TEST_F(TransitionMirrorTest, WaitsForStepsThatAreNotThereYet) {
  FakeReplayClient replay;
  replay.AddSteps(Steps(0, 5));
  TransitionMirror mirror = Mirror(replay, Split::kAll);
  std::thread actor([&replay] {
    absl::SleepFor(absl::Milliseconds(30));
    replay.AddSteps(Steps(5, 5));
  });
  EXPECT_TRUE(mirror.Update(10).ok());
  actor.join();
  EXPECT_EQ(mirror.rows().size(), 10);
}

TEST_F(TransitionMirrorTest, RefusesRowsOfAnotherShape) {
  FakeReplayClient replay;
  TransitionBatch wrong{.obs_dim = 1, .action_dim = 1};
  wrong.observations = {1};
  wrong.actions = {1};
  wrong.rewards = {1};
  wrong.next_observations = {2};
  wrong.terminated = {0};
  wrong.splits = {static_cast<uint8_t>(Split::kTrain)};
  replay.AddSteps(wrong);
  TransitionMirror mirror = Mirror(replay, Split::kTrain);
  const absl::Status status = mirror.Update(1);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(mirror.rows().size(), 0);
}

TEST_F(TransitionMirrorTest, StopEndsAWaitForSteps) {
  FakeReplayClient replay;
  TransitionMirror mirror = Mirror(replay, Split::kAll);
  std::thread other([&] {
    absl::SleepFor(absl::Milliseconds(30));
    stop_.Stop();
    replay.Stop();
  });
  const absl::Status status = mirror.Update(10);
  other.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

}  // namespace
}  // namespace tandem::model_trainer
