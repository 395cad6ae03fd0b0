#include "services/actor/core/writer.h"

#include <gtest/gtest.h>

#include <thread>

#include "common/clients/testing/fake_replay_client.h"
#include "services/actor/core/testing/fakes.h"

namespace tandem::actor {
namespace {

// Stores an append and then loses the answer, so many times.
class LosesAnswers : public FakeReplayClient {
 public:
  explicit LosesAnswers(int times) : times_(times) {}
  absl::StatusOr<AppendResult> Append(const std::string& writer, uint64_t epoch, uint64_t sequence,
                                      const std::vector<Segment>& segments,
                                      const std::vector<Episode>& episodes) override {
    auto result = FakeReplayClient::Append(writer, epoch, sequence, segments, episodes);
    if (times_-- > 0) return absl::UnavailableError("the connection was lost");
    return result;
  }

 private:
  int times_;
};

Segment MakeSegment(uint64_t episode_id, int64_t steps, bool last) {
  Segment segment;
  segment.episode_id = episode_id;
  segment.observations.assign(static_cast<size_t>(2 * (steps + 1)), 0);
  segment.actions.assign(static_cast<size_t>(steps), 0);
  segment.rewards.assign(static_cast<size_t>(steps), 0);
  segment.log_probs.assign(static_cast<size_t>(steps), 0);
  segment.terminated = last;
  return segment;
}

Recording MakeRecording(uint64_t episode_id, int64_t steps) {
  Recording recording;
  recording.segments.push_back(MakeSegment(episode_id, steps, /*last=*/false));
  return recording;
}

class WriterTest : public testing::Test {
 protected:
  Writer MakeWriter(ReplayClient& replay) {
    return Writer(replay, "actor-0", "unix:/buffer", CountingEnvironment(1).spec(), *Clock::Real(),
                  stop_, metrics_);
  }
  StopSignal stop_;
  metrics::Registry registry_;
  ActorMetrics metrics_{registry_};
};

TEST_F(WriterTest, NumbersAppendsFromOne) {
  FakeReplayClient replay;
  Writer writer = MakeWriter(replay);
  ASSERT_TRUE(writer.Open().ok());
  EXPECT_TRUE(writer.Append(MakeRecording(1, 3)).ok());
  EXPECT_TRUE(writer.Append(Recording()).ok());  // nothing to send
  EXPECT_TRUE(writer.Append(MakeRecording(1, 3)).ok());
  ASSERT_EQ(replay.appended().size(), 2u);
  EXPECT_EQ(replay.appended()[1].sequence, 2u);
  EXPECT_EQ(replay.appended()[1].epoch, 1u);
  EXPECT_EQ(replay.appended()[1].writer, "actor-0");
}

TEST_F(WriterTest, WaitsForABufferThatIsNotThere) {
  FakeReplayClient replay;
  Writer writer = MakeWriter(replay);
  replay.FailNext(absl::UnavailableError("nobody at unix:/buffer"), 2);
  EXPECT_TRUE(writer.Open().ok());
  EXPECT_EQ(replay.calls("OpenWriter"), 3);
}

TEST_F(WriterTest, ALostAnswerStoresTheStepsOnce) {
  LosesAnswers replay(/*times=*/2);
  Writer writer = MakeWriter(replay);
  ASSERT_TRUE(writer.Open().ok());
  EXPECT_TRUE(writer.Append(MakeRecording(1, 3)).ok());
  EXPECT_TRUE(writer.Append(MakeRecording(1, 4)).ok());
  EXPECT_EQ(replay.calls("Append"), 4);  // three times the first, once the second
  ASSERT_EQ(replay.appended().size(), 2u);
  EXPECT_EQ(replay.appended()[1].sequence, 2u);
  EXPECT_EQ(replay.appended()[1].segments[0].size(), 4);
}

TEST_F(WriterTest, AStaleEpochOpensAnotherAndSaysAborted) {
  FakeReplayClient replay;
  Writer writer = MakeWriter(replay);
  ASSERT_TRUE(writer.Open().ok());
  ASSERT_TRUE(replay.OpenWriter("actor-0", CountingEnvironment(1).spec()).ok());  // epoch 2
  EXPECT_TRUE(absl::IsAborted(writer.Append(MakeRecording(1, 3))));
  EXPECT_TRUE(writer.Append(MakeRecording(2, 1)).ok());
  ASSERT_EQ(replay.appended().size(), 1u);
  EXPECT_EQ(replay.appended()[0].epoch, 3u);
  EXPECT_EQ(replay.appended()[0].sequence, 1u);
  EXPECT_NE(registry_.Page().find("tandem_actor_dropped_steps_total 3"), std::string::npos);
}

TEST_F(WriterTest, ABufferThatRefusesTheDataIsAnErrorForGood) {
  FakeReplayClient replay;
  Writer writer = MakeWriter(replay);
  ASSERT_TRUE(writer.Open().ok());
  replay.FailNext(absl::InvalidArgumentError("expected 4 numbers, got 2"));
  EXPECT_TRUE(absl::IsInvalidArgument(writer.Append(MakeRecording(1, 3))));
  replay.FailNext(absl::FailedPreconditionError("holds steps of pendulum"));
  EXPECT_TRUE(absl::IsFailedPrecondition(writer.Open()));
}

TEST_F(WriterTest, LargeRecordingsAreSplitAndEpisodesGoWithTheirLastSegment) {
  FakeReplayClient replay;
  Writer writer = MakeWriter(replay);
  ASSERT_TRUE(writer.Open().ok());
  Recording recording;
  for (uint64_t id = 1; id <= 4; ++id) {
    recording.segments.push_back(MakeSegment(id, /*steps=*/20000, /*last=*/true));
    Episode episode;
    episode.episode_id = id;
    recording.episodes.push_back(episode);
  }
  Episode without_steps;
  without_steps.episode_id = 99;
  recording.episodes.push_back(without_steps);
  ASSERT_TRUE(writer.Append(std::move(recording)).ok());
  const auto appended = replay.appended();
  ASSERT_EQ(appended.size(), 4u);
  for (uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(appended[i].sequence, i + 1);
    ASSERT_EQ(appended[i].segments.size(), 1u);
    EXPECT_EQ(appended[i].episodes.size(), i == 3 ? 2u : 1u);
    EXPECT_EQ(appended[i].episodes[0].episode_id, i + 1);
  }
}

TEST_F(WriterTest, ASegmentIsCutByBytes) {
  FakeReplayClient replay;
  Writer writer = MakeWriter(replay);
  ASSERT_TRUE(writer.Open().ok());
  constexpr int64_t kSteps = 100'000;  // 2 MB
  Recording recording;
  recording.segments.push_back(MakeSegment(1, kSteps, /*last=*/true));
  Segment& whole = recording.segments[0];
  for (size_t i = 0; i < whole.observations.size(); ++i) {
    whole.observations[i] = static_cast<float>(i);
  }
  Episode episode;
  episode.episode_id = 1;
  recording.episodes.push_back(episode);
  ASSERT_TRUE(writer.Append(std::move(recording)).ok());
  const auto appended = replay.appended();
  ASSERT_GE(appended.size(), 4u);
  int64_t steps = 0;
  for (const auto& append : appended) {
    size_t bytes = 0;
    for (const Segment& part : append.segments) {
      bytes += 4 * (part.observations.size() + 3 * part.rewards.size());
      EXPECT_EQ(part.first_t, steps);
      ASSERT_EQ(part.observations.size(), part.rewards.size() * 2 + 2);
      EXPECT_EQ(part.observations.front(), static_cast<float>(2 * steps));
      EXPECT_EQ(part.actions.size(), part.rewards.size());
      EXPECT_EQ(part.log_probs.size(), part.rewards.size());
      steps += part.size();
      EXPECT_EQ(part.terminated, steps == kSteps);
    }
    EXPECT_LE(bytes, size_t{512} << 10);
    EXPECT_EQ(append.episodes.size(), steps == kSteps ? 1u : 0u);
  }
  EXPECT_EQ(steps, kSteps);
}

TEST_F(WriterTest, EpisodesWithoutStepsAreSplitByBytes) {
  FakeReplayClient replay;
  Writer writer = MakeWriter(replay);
  ASSERT_TRUE(writer.Open().ok());
  Recording recording;
  for (uint64_t id = 1; id <= 30; ++id) {
    Episode episode;
    episode.episode_id = id;
    episode.initial_observation.assign(size_t{16} << 10, 0);  // 64 KiB
    recording.episodes.push_back(episode);
  }
  ASSERT_TRUE(writer.Append(std::move(recording)).ok());
  size_t episodes = 0;
  for (const auto& append : replay.appended()) {
    EXPECT_LE(append.episodes.size(), 8u);
    episodes += append.episodes.size();
  }
  EXPECT_EQ(episodes, 30u);
}

TEST_F(WriterTest, StopEndsTheRetries) {
  FakeReplayClient replay;
  replay.FailNext(absl::UnavailableError("gone"), 1000000);
  Writer writer = MakeWriter(replay);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop_.Stop();
  });
  EXPECT_TRUE(absl::IsCancelled(writer.Open()));
  stopper.join();
}

}  // namespace
}  // namespace tandem::actor
