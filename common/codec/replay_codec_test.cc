#include "common/codec/replay_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>

#include "common/codec/data_codec.h"

namespace tandem::codec {
namespace {

using testing::HasSubstr;

TEST(ReplayCodecTest, ProgressAndWaitTravel) {
  const Progress p{Role::kMonitor, "monitor", 5, 6, 7, 8, 9, 10, 0.5, 11, true};
  replay::v1::AdvanceRequest message;
  Encode(p, absl::Milliseconds(2500), &message);
  const auto back = Decode(message);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->role, Role::kMonitor);
  EXPECT_EQ(back->member, "monitor");
  EXPECT_EQ(back->wanted, 5);
  EXPECT_EQ(back->policy_updates, 6);
  EXPECT_EQ(back->model_through_index, 7);
  EXPECT_EQ(back->held_policy_updates, 8);
  EXPECT_EQ(back->judged_through_index, 9);
  EXPECT_EQ(back->directive_version, 10);
  EXPECT_EQ(back->updates_per_step, 0.5);
  EXPECT_EQ(back->fitted_through_index, 11);
  EXPECT_TRUE(back->policy_pause);
  EXPECT_EQ(DecodeWait(message), absl::Milliseconds(2500));
  Encode(p, absl::InfiniteDuration(), &message);
  EXPECT_EQ(DecodeWait(message), absl::Seconds(10));
  message.mutable_wait()->set_seconds(std::numeric_limits<int64_t>::min());
  EXPECT_EQ(DecodeWait(message), absl::ZeroDuration());
  message.mutable_wait()->set_seconds(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(DecodeWait(message), absl::Seconds(10));
  message.clear_role();
  EXPECT_THAT(Decode(message).status().message(), HasSubstr("advance: role"));
}

TEST(ReplayCodecTest, GrantTravels) {
  Grant g;
  g.granted = 1;
  g.through_index = 2;
  g.policy_updates = -1;
  g.model_through_index = 4;
  g.random_actions = g.evaluate = g.stop = true;
  g.waiting_for = "412 more environment steps";
  g.env_steps = 5;
  g.directive_version = 6;
  replay::v1::AdvanceResponse message;
  Encode(g, &message);
  const Grant back = Decode(message);
  EXPECT_EQ(back.granted, 1);
  EXPECT_EQ(back.through_index, 2);
  EXPECT_EQ(back.policy_updates, -1);
  EXPECT_EQ(back.model_through_index, 4);
  EXPECT_TRUE(back.random_actions && back.evaluate && back.stop);
  EXPECT_EQ(back.waiting_for, g.waiting_for);
  EXPECT_EQ(back.env_steps, 5);
  EXPECT_EQ(back.directive_version, 6);
}

TEST(ReplayCodecTest, StatusTravelsWithAndWithoutSpec) {
  ReplayStatus s;
  replay::v1::GetStatusResponse empty;
  Encode(s, &empty);
  EXPECT_FALSE(Decode(empty)->spec.has_value());
  s.spec = EnvironmentSpec{"toy", {{-1}, {1}}, {{-1}, {1}}, 10};
  s.begin_index = 1;
  s.end_index = 2;
  s.env_steps = 3;
  s.train_steps = 4;
  s.holdout_steps = 5;
  s.episodes = 6;
  s.policy_updates = 7;
  s.model_through_index = 8;
  s.waiting_for = {{"actor", "more"}};
  s.stopped = true;
  s.stop_reason = "environment steps done";
  s.evaluations = {{1, 2.5, 3, 4}};
  replay::v1::GetStatusResponse message;
  Encode(s, &message);
  const auto back = Decode(message);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->spec, s.spec);
  EXPECT_EQ(back->holdout_steps, 5);
  EXPECT_EQ(back->model_through_index, 8);
  EXPECT_EQ(back->waiting_for, s.waiting_for);
  EXPECT_EQ(back->stop_reason, s.stop_reason);
  ASSERT_EQ(back->evaluations.size(), 1u);
  EXPECT_EQ(back->evaluations[0].mean_return, 2.5);
}

TEST(ReplayCodecTest, AnUnsetSplitSamplesTheTrainingSplit) {
  replay::v1::SampleSpec message;
  message.set_kind(replay::v1::SAMPLE_KIND_SEQUENCES);
  EXPECT_EQ(Decode(message)->split, Split::kTrain);
  message.set_split(data::v1::SPLIT_HOLDOUT);
  EXPECT_EQ(Decode(message)->split, Split::kHoldout);
  message.set_split(static_cast<data::v1::Split>(8));
  EXPECT_THAT(Decode(message).status().message(), HasSubstr("got 8"));
  replay::v1::TailRequest tail;
  EXPECT_EQ(Decode(tail)->split, Split::kAll);
}

TEST(ReplayCodecTest, BatchesTravelInPartsAndInOrder) {
  EXPECT_TRUE(rc::check([] {
    SampledBatch sampled;
    sampled.through_index = 99;
    TransitionBatch& b = sampled.transitions;
    b.obs_dim = 3;
    // Between one and four parts.
    const auto rows = *rc::gen::inRange<int64_t>(1, 300'000);
    b.observations.resize(static_cast<size_t>(rows * 3));
    for (size_t i = 0; i < b.observations.size(); ++i) b.observations[i] = static_cast<float>(i);
    SampledBatch back;
    const SampleSpec spec{.batch_size = rows};
    int64_t row = 0;
    while (row < rows) {
      replay::v1::SampleResponse part;
      row = EncodePart(sampled, 7, row, &part);
      RC_ASSERT(static_cast<int64_t>(part.ByteSizeLong()) <= kMaxMessageBytes);
      RC_ASSERT(part.last() == (row == rows));
      RC_ASSERT(DecodePart(part, spec, &back).ok());
      RC_ASSERT(!DecodePart(part, spec, &back).ok());  // the same part again does not follow
    }
    RC_ASSERT(back.transitions.observations == b.observations);
    RC_ASSERT(back.through_index == 99);
  }));
}

TEST(ReplayCodecTest, SequencePartsJoin) {
  SampledBatch sampled;
  SequenceBatch& b = sampled.sequences;
  b.batch_size = 700;
  b.length = 100;
  b.obs_dim = 8;
  b.action_dim = 2;
  b.observations.resize(700 * 101 * 8, 1);
  b.actions.resize(700 * 100 * 2, 2);
  b.rewards.resize(700 * 100, 3);
  b.terminated.resize(700 * 100);
  b.mask.resize(700 * 100, 1);
  for (int64_t i = 0; i < 700; ++i) b.indices.push_back(i);
  const SampleSpec spec{.kind = SampleKind::kSequences, .batch_size = 700, .sequence_length = 100};
  SampledBatch back;
  int parts = 0;
  for (int64_t row = 0; row < 700; ++parts) {
    replay::v1::SampleResponse part;
    row = EncodePart(sampled, 0, row, &part);
    ASSERT_LE(static_cast<int64_t>(part.ByteSizeLong()), kMaxMessageBytes);
    ASSERT_TRUE(DecodePart(part, spec, &back).ok());
  }
  EXPECT_GT(parts, 1);
  EXPECT_EQ(back.sequences.batch_size, 700);
  EXPECT_EQ(back.sequences.observations, b.observations);
  EXPECT_EQ(back.sequences.actions, b.actions);
  EXPECT_EQ(back.sequences.indices, b.indices);
}

TEST(ReplayCodecTest, ABatchOfAnotherSizeOrKindIsRefused) {
  SampledBatch sampled;
  sampled.transitions.obs_dim = 2;
  sampled.transitions.observations.assign(2 * 5, 1.0F);
  replay::v1::SampleResponse part;
  ASSERT_EQ(EncodePart(sampled, 0, 0, &part), 5);
  const auto decode = [&part](SampleKind kind, int64_t batch_size) {
    SampledBatch back;
    return DecodePart(part, {.kind = kind, .batch_size = batch_size}, &back);
  };
  EXPECT_TRUE(decode(SampleKind::kTransitions, 5).ok());
  EXPECT_THAT(decode(SampleKind::kTransitions, 4).message(), HasSubstr("of 4 rows, got 5"));
  EXPECT_THAT(decode(SampleKind::kStartStates, 6).message(), HasSubstr("of 6 rows, got 5"));
  EXPECT_THAT(decode(SampleKind::kSequences, 5).message(), HasSubstr("expected sequences"));
  part.set_last(false);
  EXPECT_TRUE(decode(SampleKind::kTransitions, 6).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(decode(SampleKind::kTransitions, 4)));
  part.clear_transitions();
  EXPECT_TRUE(absl::IsInvalidArgument(decode(SampleKind::kTransitions, 5)));
}

TEST(ReplayCodecTest, TailChunksTravel) {
  TailChunk chunk;
  chunk.transitions.obs_dim = 1;
  chunk.transitions.observations = {5, 6};
  chunk.next_index = 12;
  Episode episode;
  episode.initial_observation = {5};
  chunk.episodes = {episode};
  chunk.next_episode = 3;
  replay::v1::TailResponse message;
  Encode(chunk, &message);
  const auto back = Decode(message);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->transitions.observations, chunk.transitions.observations);
  EXPECT_EQ(back->next_index, 12);
  EXPECT_EQ(back->episodes.size(), 1u);
  EXPECT_EQ(back->next_episode, 3);
  replay::v1::TailResponse empty;
  Encode(TailChunk{}, &empty);
  EXPECT_FALSE(empty.has_transitions());
  EXPECT_EQ(Decode(empty)->transitions.size(), 0);
}

TEST(ReplayCodecTest, AppendsOfTooMuchAreRefused) {
  const EnvironmentSpec spec{"toy", {{-1}, {1}}, {{-1}, {1}}, 10};
  Segment segment;
  segment.observations.resize(100'001);
  segment.actions.resize(100'000);
  segment.rewards.resize(100'000);
  replay::v1::AppendRequest message;
  Encode("a", 1, 2, {segment}, {}, &message);
  EXPECT_THAT(Decode(message, spec).status().message(), HasSubstr("expected at most 1 MiB"));
  segment.observations.resize(3);
  segment.actions.resize(2);
  segment.rewards.resize(2);
  message.Clear();
  Encode("a", 1, 2, {segment, segment}, {}, &message);
  EXPECT_EQ(Decode(message, spec)->segments.size(), 2u);
  EXPECT_EQ(message.writer(), "a");
  EXPECT_EQ(message.sequence(), 2u);
}

}  // namespace
}  // namespace tandem::codec
