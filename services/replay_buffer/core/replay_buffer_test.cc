#include "services/replay_buffer/core/replay_buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "services/replay_buffer/core/testing/local_replay_client.h"
#include "services/replay_buffer/core/testing/make_steps.h"

namespace tandem {
namespace {

using testing::HasSubstr;
using testing_support::MakeEpisode;
using testing_support::MakeEvaluation;
using testing_support::MakeSegment;
using testing_support::MakeSpec;

class ReplayBufferTest : public testing::Test {
 protected:
  ReplayBufferTest() {
    ReplayBuffer::Options options;
    options.capacity = 1000;
    options.pace.warmup_steps = 10;
    options.pace.refit_interval = 10;
    options.pace.evaluation_interval = 0;
    Make(options);
  }

  void Make(const ReplayBuffer::Options& options) {
    registry_ = std::make_unique<metrics::Registry>();
    buffer_ = *ReplayBuffer::Create(options, *registry_);
    epoch_ = buffer_->OpenWriter("a", MakeSpec())->epoch;
    sequence_ = 0;
  }

  absl::Status Append(const std::vector<Segment>& segments,
                      const std::vector<Episode>& episodes = {}) {
    const auto result = buffer_->Append("a", epoch_, sequence_ + 1, segments, episodes);
    if (result.ok()) ++sequence_;
    return result.status();
  }

  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<ReplayBuffer> buffer_;
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;
};

TEST_F(ReplayBufferTest, StoresEachAppendOnce) {
  const auto segment = MakeSegment(1, 0, 5);
  EXPECT_EQ(buffer_->Append("a", epoch_, 1, {segment}, {})->end_index, 5);
  EXPECT_EQ(buffer_->Append("a", epoch_, 1, {segment}, {})->end_index, 5) << "sent again";
  EXPECT_EQ(buffer_->Append("a", epoch_, 3, {segment}, {}).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(buffer_->Append("a", epoch_, 0, {segment}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(buffer_->Append("b", epoch_, 1, {segment}, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  const auto reopened = buffer_->OpenWriter("a", MakeSpec());
  EXPECT_GT(reopened->epoch, epoch_);
  EXPECT_EQ(reopened->end_index, 5);
  EXPECT_EQ(buffer_->Append("a", epoch_, 2, {segment}, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(buffer_->Append("a", reopened->epoch, 1, {MakeSegment(1, 0, 2)}, {})->end_index, 7);
}

TEST_F(ReplayBufferTest, RefusesTheWholeAppendWhenAPartIsWrong) {
  ASSERT_TRUE(Append({MakeSegment(1, 0, 3)}).ok());
  Segment wrong = MakeSegment(1, 3, 2);
  wrong.rewards[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Append({MakeSegment(2, 0, 2), wrong}).message(), HasSubstr("nan in rewards"));
  EXPECT_THAT(Append({MakeSegment(2, 0, 2), MakeSegment(1, 4, 2)}).message(),
              HasSubstr("episode 1: expected first_t 3, got 4"));
  EXPECT_THAT(Append({MakeSegment(3, 1, 2)}).message(), HasSubstr("expected first_t 0, got 1"));
  EXPECT_THAT(Append({MakeSegment(2, 0, 2, true), MakeSegment(2, 2, 1)}).message(),
              HasSubstr("no step after its end"));
  Segment jump = MakeSegment(1, 3, 2);
  jump.observations[0] += 1;
  EXPECT_THAT(Append({jump}).message(), HasSubstr("the one after step 2"));
  EXPECT_THAT(Append({}, {MakeEpisode(1, 3)}).message(), HasSubstr("after its last step"));
  EXPECT_THAT(Append({MakeSegment(1, 3, 1, true)}, {MakeEpisode(1, 9)}).message(),
              HasSubstr("expected length 4, got 9"));
  EXPECT_EQ(buffer_->end_index(), 3) << "nothing of all this was stored";
  EXPECT_TRUE(Append({MakeSegment(1, 3, 1, true)}, {MakeEpisode(1, 4)}).ok());
  EXPECT_THAT(registry_->Page(), HasSubstr("tandem_replay_rejected_total{reason=\"invalid\"} 7"));
}

TEST_F(ReplayBufferTest, AcceptsOneEnvironmentOnly) {
  EnvironmentSpec other = MakeSpec();
  other.max_episode_steps = 7;
  const absl::Status refused = buffer_->OpenWriter("b", other).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("got another: max_episode_steps"));
  EXPECT_EQ(buffer_->OpenWriter("", MakeSpec()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(buffer_->OpenWriter(std::string(129, 'x'), MakeSpec()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ReplayBufferTest, ClosesAbandonedEpisodesAsTruncated) {
  ASSERT_TRUE(Append({MakeSegment(1, 0, 3), MakeSegment(2, 0, 2, true)}, {MakeEpisode(2, 2)}).ok());
  ASSERT_TRUE(buffer_->OpenWriter("a", MakeSpec()).ok());
  const auto tail = buffer_->ReadTail({.from_episode = 0}, 1 << 20);
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(tail->transitions.truncated, (std::vector<uint8_t>{0, 0, 1, 0, 0}));
  EXPECT_EQ(tail->transitions.terminated, (std::vector<uint8_t>{0, 0, 0, 0, 1}));
  ASSERT_EQ(tail->episodes.size(), 2u);
  EXPECT_EQ(tail->episodes[1].episode_id, 1u);
  EXPECT_EQ(tail->episodes[1].length, 3);
  EXPECT_FALSE(tail->episodes[1].terminated);
  EXPECT_DOUBLE_EQ(tail->episodes[1].episode_return, 3);
  EXPECT_EQ(buffer_->GetStatus().episodes, 2);
}

TEST_F(ReplayBufferTest, AFailureEndsAnEpisodeThatWasOpen) {
  ASSERT_TRUE(Append({MakeSegment(1, 0, 3)}).ok());
  Episode failed = MakeEpisode(1, 2, /*terminated=*/false);
  failed.failure = "crashed";
  EXPECT_THAT(Append({}, {failed}).message(), HasSubstr("expected length 3, got 2"));
  failed = MakeEpisode(1, 3, /*terminated=*/false);
  failed.failure = "crashed";
  ASSERT_TRUE(Append({}, {failed}).ok());
  EXPECT_THAT(Append({MakeSegment(1, 3, 1)}).message(), HasSubstr("expected first_t 0, got 3"));
  // With its last steps in the same append.
  Episode other = MakeEpisode(2, 2, /*terminated=*/false);
  other.failure = "hung";
  ASSERT_TRUE(Append({MakeSegment(2, 0, 2)}, {other}).ok());
  const auto tail = buffer_->ReadTail({.from_episode = 0}, 1 << 20);
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(tail->transitions.truncated, (std::vector<uint8_t>{0, 0, 1, 0, 1}));
  ASSERT_EQ(tail->episodes.size(), 2u);
  EXPECT_EQ(tail->episodes[0].failure, "crashed");
  EXPECT_EQ(tail->episodes[1].failure, "hung");
  ASSERT_TRUE(buffer_->OpenWriter("a", MakeSpec()).ok());
  EXPECT_EQ(buffer_->GetStatus().episodes, 2) << "nothing was left open";
}

TEST_F(ReplayBufferTest, AnEvaluationEpisodeThatFailedIsClosedAndNotCounted) {
  Segment segment = MakeSegment(1, 0, 3);
  segment.purpose = Purpose::kEvaluation;
  ASSERT_TRUE(Append({segment}).ok());
  Episode failed = MakeEvaluation(0, 0, 0);
  failed.episode_id = 1;
  failed.length = 3;
  failed.terminated = false;
  EXPECT_THAT(Append({}, {failed}).message(), HasSubstr("evaluation_id"));
  failed.failure = "crashed";
  ASSERT_TRUE(Append({}, {failed}).ok());
  const auto tail = buffer_->ReadTail({.from_episode = 0}, 1 << 20);
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(tail->transitions.truncated, (std::vector<uint8_t>{0, 0, 1}));
  EXPECT_TRUE(tail->episodes.empty());
}

// More than a writer may have open at once.
TEST_F(ReplayBufferTest, EpisodesThatFailOneAfterTheOtherLeaveNothingOpen) {
  ReplayBuffer::Options options;
  options.pace.evaluation_interval = 0;
  Make(options);
  constexpr uint64_t kAtOnce = 2200;
  for (uint64_t begin = 0; begin < 30 * kAtOnce; begin += kAtOnce) {
    std::vector<Segment> segments;
    std::vector<Episode> episodes;
    for (uint64_t id = begin; id < begin + kAtOnce; ++id) {
      segments.push_back(MakeSegment(id, 0, 1));
      episodes.push_back(MakeEpisode(id, 1, /*terminated=*/false));
      episodes.back().failure = "crashed";
    }
    ASSERT_TRUE(Append(segments).ok()) << begin;
    ASSERT_TRUE(Append({}, episodes).ok()) << begin;
  }
}

TEST_F(ReplayBufferTest, SplitsEpisodesAndKeepsEvaluationOutOfTraining) {
  for (uint64_t e = 0; e < 7; ++e) ASSERT_TRUE(Append({MakeSegment(e, 0, 2, true)}).ok());
  Segment evaluation = MakeSegment(99, 0, 3, true);
  evaluation.purpose = Purpose::kEvaluation;
  ASSERT_TRUE(Append({evaluation}).ok());
  const ReplayStatus status = buffer_->GetStatus();
  EXPECT_EQ(status.end_index, 17);
  EXPECT_EQ(status.env_steps, 14);
  EXPECT_EQ(status.train_steps, 10);
  EXPECT_EQ(status.holdout_steps, 4) << "episodes 1 and 6";
  EXPECT_EQ(buffer_->ReadTail({.split = Split::kHoldout}, 1 << 20)->transitions.indices,
            (std::vector<int64_t>{2, 3, 12, 13}));
  EXPECT_EQ(buffer_->ReadTail({.split = Split::kEvaluation}, 1 << 20)->transitions.indices,
            (std::vector<int64_t>{14, 15, 16}));
}

TEST_F(ReplayBufferTest, TailReadsInBoundedPartsAndSkipsWhatIsEvicted) {
  ReplayBuffer::Options options;
  options.capacity = 20;
  options.holdout_fraction = 0;
  Make(options);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(Append({MakeSegment(1, i * 5, 5)}).ok());
  TailRequest cursor{.through_index = 28};
  std::vector<int64_t> seen;
  while (cursor.from_index < 28) {
    const auto chunk = buffer_->ReadTail(cursor, /*max_bytes=*/300);
    ASSERT_TRUE(chunk.ok());
    ASSERT_GT(chunk->next_index, cursor.from_index);
    EXPECT_LE(chunk->transitions.size(), 5);
    seen.insert(seen.end(), chunk->transitions.indices.begin(), chunk->transitions.indices.end());
    cursor.from_index = chunk->next_index;
  }
  ASSERT_EQ(seen.size(), 18u);
  EXPECT_EQ(seen.front(), 10);
  EXPECT_EQ(seen.back(), 27);
  const auto none = buffer_->ReadTail({.split = Split::kHoldout}, 1 << 20);
  EXPECT_EQ(none->next_index, 30) << "all matching steps below it, none, have been sent";
  EXPECT_FALSE(buffer_->ReadTail({.from_index = -1}, 1).ok());
}

TEST_F(ReplayBufferTest, SamplingTellsNotYetFromNever) {
  const SampleSpec spec{.batch_size = 4};
  EXPECT_FALSE(buffer_->Sample(spec, 0, 0)->has_value());
  EXPECT_FALSE(buffer_->Sample(spec, 0, 5)->has_value()) << "5 steps may still come";
  ASSERT_TRUE(Append({MakeSegment(1, 0, 8)}).ok());
  EXPECT_TRUE(buffer_->Sample(spec, 0, 5)->has_value());
  const SampleSpec holdout{.batch_size = 4, .split = Split::kHoldout};
  EXPECT_FALSE(buffer_->Sample(holdout, 0, 0)->has_value());
  EXPECT_EQ(buffer_->Sample(holdout, 0, 5).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ReplayBufferTest, AdvanceWaitsAndIsWokenByProgress) {
  const auto client = MakeLocalReplayClient(*buffer_);
  std::atomic<bool> answered{false};
  std::thread trainer([&] {
    const auto grant =
        client->Advance({.role = Role::kModelTrainer, .member = "m"}, absl::Seconds(10));
    EXPECT_TRUE(grant.ok());
    EXPECT_EQ(grant->granted, 1);
    EXPECT_EQ(grant->through_index, 10);
    EXPECT_EQ(grant->env_steps, 10);
    answered = true;
  });
  while (buffer_->GetStatus().waiting_for.count("model_trainer") == 0) std::this_thread::yield();
  EXPECT_EQ(buffer_->GetStatus().waiting_for["model_trainer"], "10 more environment steps");
  ASSERT_TRUE(Append({MakeSegment(1, 0, 4)}).ok());
  EXPECT_EQ(buffer_->GetStatus().waiting_for["model_trainer"], "6 more environment steps");
  EXPECT_FALSE(answered);
  ASSERT_TRUE(Append({MakeSegment(1, 4, 6)}).ok());
  trainer.join();
  EXPECT_TRUE(buffer_->GetStatus().waiting_for.empty());
}

TEST_F(ReplayBufferTest, AdvanceAnswersEmptyWhenTheTimeIsUp) {
  const auto client = MakeLocalReplayClient(*buffer_);
  const auto start = std::chrono::steady_clock::now();
  const auto grant =
      client->Advance({.role = Role::kPolicyTrainer, .member = "p"}, absl::Milliseconds(50));
  ASSERT_TRUE(grant.ok());
  EXPECT_EQ(grant->granted, 0);
  EXPECT_EQ(grant->waiting_for, "11 more environment steps");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
  EXPECT_FALSE(client->Advance({.role = Role::kActor, .member = ""}, {}).ok());
  EXPECT_FALSE(client->Advance({.role = static_cast<Role>(8), .member = "x"}, {}).ok());
  const Progress beyond = {.role = Role::kPolicyTrainer,
                           .member = "p",
                           .policy_updates = std::numeric_limits<int64_t>::max()};
  EXPECT_EQ(client->Advance(beyond, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ReplayBufferTest, TheMembersOfARunAreBounded) {
  const auto client = MakeLocalReplayClient(*buffer_);
  const auto advance = [&](int member) {
    return client->Advance({.role = Role::kActor, .member = absl::StrCat("m", member)}, {})
        .status();
  };
  for (int i = 0; i < 1024; ++i) ASSERT_TRUE(advance(i).ok()) << i;
  const absl::Status full = advance(1024);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("actor m1024: expected at most 1024 members"));
  EXPECT_TRUE(advance(5).ok()) << "who is known is served on";
}

TEST_F(ReplayBufferTest, ANewerAdvanceOfAMemberTakesTheOldOnesPlace) {
  std::vector<Grant> answers;
  const auto keep = [&](absl::StatusOr<Grant> grant) { answers.push_back(*grant); };
  const Progress progress{.role = Role::kModelTrainer, .member = "m"};
  buffer_->Advance(buffer_->NewTicket(), progress, absl::Seconds(10), keep);
  EXPECT_TRUE(answers.empty());
  const Ticket second = buffer_->NewTicket();
  buffer_->Advance(second, progress, absl::Seconds(10), keep);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].granted, 0);
  EXPECT_TRUE(buffer_->CancelAdvance(second));
  EXPECT_FALSE(buffer_->CancelAdvance(second));
  EXPECT_EQ(answers.size(), 1u);
}

TEST_F(ReplayBufferTest, CountsEvaluationsAndStops) {
  ReplayBuffer::Options options;
  options.pace.warmup_steps = 4;
  options.pace.evaluation_interval = 4;
  options.pace.max_env_steps = 8;
  Make(options);
  ASSERT_TRUE(Append({MakeSegment(1, 0, 8)}).ok());
  ASSERT_TRUE(Append({}, {MakeEvaluation(8, 2, 3), MakeEvaluation(8, 2, 5)}).ok());
  const ReplayStatus status = buffer_->GetStatus();
  EXPECT_TRUE(status.stopped);
  EXPECT_EQ(status.stop_reason, "environment steps done");
  ASSERT_EQ(status.evaluations.size(), 1u);
  EXPECT_DOUBLE_EQ(status.evaluations[0].mean_return, 4);
  EXPECT_EQ(status.evaluations[0].env_steps, 8);
  EXPECT_THAT(registry_->Page(), HasSubstr("tandem_replay_evaluation_return 4"));
}

TEST_F(ReplayBufferTest, StopEndsEveryWait) {
  const auto client = MakeLocalReplayClient(*buffer_);
  auto tail = *client->OpenTail({});
  std::thread reader([&] {
    EXPECT_EQ(tail->Receive(absl::Seconds(10)).status().code(), absl::StatusCode::kUnavailable);
  });
  std::thread waiter([&] {
    EXPECT_EQ(client->Advance({.role = Role::kModelTrainer, .member = "m"}, absl::Seconds(10))
                  .status()
                  .code(),
              absl::StatusCode::kUnavailable);
  });
  while (buffer_->GetStatus().waiting_for.empty()) std::this_thread::yield();
  buffer_->Stop();
  reader.join();
  waiter.join();
  EXPECT_EQ(Append({MakeSegment(1, 0, 1)}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ReplayBufferTest, LocalStreamsFollowAndAreStopped) {
  auto client = MakeLocalReplayClient(*buffer_);
  auto sample = *client->OpenSample({.batch_size = 3});
  auto tail = *client->OpenTail({.through_index = 4, .from_episode = 0});
  EXPECT_EQ(sample->Receive({}).status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(sample->Request(64, 0).ok());
  EXPECT_EQ(sample->Request(1, 0).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(tail->Receive(absl::Milliseconds(5)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  std::thread writer([&] { EXPECT_TRUE(Append({MakeSegment(1, 0, 6)}).ok()); });
  EXPECT_EQ(sample->Receive(absl::Seconds(10))->transitions.size(), 3);
  EXPECT_EQ(tail->Receive(absl::Seconds(10))->transitions.size(), 4);
  EXPECT_EQ(tail->Receive(absl::Seconds(10)).status().code(), absl::StatusCode::kOutOfRange);
  writer.join();
  client->Stop();
  EXPECT_EQ(sample->Receive(absl::Seconds(10)).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client->GetStatus().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ReplayBufferTest, ManyThreadsAtOnceLoseNothing) {
  constexpr int kWriters = 3;
  std::vector<std::thread> threads;
  const auto client = MakeLocalReplayClient(*buffer_);
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      const std::string name = "w" + std::to_string(w);
      const uint64_t epoch = client->OpenWriter(name, MakeSpec())->epoch;
      for (uint64_t i = 0; i < 100; ++i) {
        ASSERT_TRUE(
            client->Append(name, epoch, i + 1, {MakeSegment(1, static_cast<int64_t>(i) * 3, 3)}, {})
                .ok());
      }
    });
  }
  threads.emplace_back([&] {
    auto sample = *client->OpenSample({.batch_size = 50});
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(sample->Request(1, 0).ok());
      ASSERT_TRUE(sample->Receive(absl::Seconds(20)).ok());
    }
  });
  auto tail = *client->OpenTail({.through_index = 900});
  std::vector<int64_t> seen;
  while (true) {
    const auto chunk = tail->Receive(absl::Seconds(20));
    if (!chunk.ok()) break;
    seen.insert(seen.end(), chunk->transitions.indices.begin(), chunk->transitions.indices.end());
  }
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(seen.size(), 900u);
  for (int64_t i = 0; i < 900; ++i) ASSERT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(ReplayBufferOptionsTest, NameWhatIsWrong) {
  metrics::Registry registry;
  EXPECT_THAT(ReplayBuffer::Create({.capacity = 0}, registry).status().message(),
              HasSubstr("replay.capacity"));
  EXPECT_THAT(ReplayBuffer::Create({.holdout_fraction = NAN}, registry).status().message(),
              HasSubstr("replay.holdout_fraction"));
  ReplayBuffer::Options options;
  options.pace.updates_per_step = 0;
  EXPECT_THAT(ReplayBuffer::Create(options, registry).status().message(),
              HasSubstr("pace.updates_per_step"));
}

}  // namespace
}  // namespace tandem
