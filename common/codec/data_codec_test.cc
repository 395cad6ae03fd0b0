#include "common/codec/data_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>

namespace tandem::codec {
namespace {

using testing::HasSubstr;

EnvironmentSpec Spec(int64_t obs_dim, int64_t action_dim) {
  EnvironmentSpec spec;
  spec.name = "toy";
  const auto inf = std::numeric_limits<float>::infinity();
  spec.observation = {std::vector<float>(static_cast<size_t>(obs_dim), -inf),
                      std::vector<float>(static_cast<size_t>(obs_dim), inf)};
  spec.action = {std::vector<float>(static_cast<size_t>(action_dim), -1),
                 std::vector<float>(static_cast<size_t>(action_dim), 1)};
  spec.max_episode_steps = 1000;
  return spec;
}

std::vector<float> Numbers(int64_t n) {
  return *rc::gen::container<std::vector<float>>(static_cast<size_t>(n),
                                                 rc::gen::arbitrary<float>());
}

template <typename T>
std::vector<T> Integers(int64_t n) {
  return *rc::gen::container<std::vector<T>>(static_cast<size_t>(n), rc::gen::arbitrary<T>());
}

Segment AnySegment(int64_t n, int64_t obs_dim, int64_t action_dim) {
  Segment s;
  s.episode_id = *rc::gen::arbitrary<uint64_t>();
  s.first_t = *rc::gen::arbitrary<int64_t>();
  s.observations = Numbers((n + 1) * obs_dim);
  s.actions = Numbers(n * action_dim);
  s.rewards = Numbers(n);
  s.log_probs = Numbers(n);
  s.terminated = *rc::gen::arbitrary<bool>();
  s.truncated = *rc::gen::arbitrary<bool>();
  s.purpose = *rc::gen::element(Purpose::kTraining, Purpose::kEvaluation);
  s.policy_version = *rc::gen::arbitrary<uint64_t>();
  s.model_version = *rc::gen::arbitrary<uint64_t>();
  return s;
}

TransitionBatch AnyBatch(int64_t n, int64_t obs_dim, int64_t action_dim) {
  TransitionBatch b;
  b.obs_dim = obs_dim;
  b.action_dim = action_dim;
  b.observations = Numbers(n * obs_dim);
  b.actions = Numbers(n * action_dim);
  b.rewards = Numbers(n);
  b.next_observations = Numbers(n * obs_dim);
  b.terminated = Integers<uint8_t>(n);
  b.truncated = Integers<uint8_t>(n);
  b.indices = Integers<int64_t>(n);
  b.episodes = Integers<int64_t>(n);
  b.times = Integers<int64_t>(n);
  b.policy_versions = Integers<int64_t>(n);
  b.splits = Integers<uint8_t>(n);
  return b;
}

void ExpectSame(const TransitionBatch& a, const TransitionBatch& b) {
  RC_ASSERT(a.obs_dim == b.obs_dim);
  RC_ASSERT(a.action_dim == b.action_dim);
  RC_ASSERT(a.observations == b.observations);
  RC_ASSERT(a.actions == b.actions);
  RC_ASSERT(a.rewards == b.rewards);
  RC_ASSERT(a.next_observations == b.next_observations);
  RC_ASSERT(a.terminated == b.terminated);
  RC_ASSERT(a.truncated == b.truncated);
  RC_ASSERT(a.indices == b.indices);
  RC_ASSERT(a.episodes == b.episodes);
  RC_ASSERT(a.times == b.times);
  RC_ASSERT(a.policy_versions == b.policy_versions);
  RC_ASSERT(a.splits == b.splits);
}

TEST(DataCodecTest, SpecTravels) {
  data::v1::EnvironmentSpec message;
  Encode(Spec(3, 2), &message);
  const auto back = Decode(message);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, Spec(3, 2));
}

TEST(DataCodecTest, SpecThatBreaksItsRulesIsRefused) {
  data::v1::EnvironmentSpec message;
  Encode(Spec(3, 2), &message);
  message.mutable_observation()->set_low(1, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(Decode(message).status().message(), HasSubstr("observation space"));
  Encode(Spec(1, 1), &message);  // high is now longer than low, and the name is there
  message.mutable_action()->add_high(1);
  EXPECT_FALSE(Decode(message).ok());
  EXPECT_FALSE(Decode(data::v1::EnvironmentSpec()).ok());
}

TEST(DataCodecTest, SegmentTravels) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<int64_t>(1, 20);
    const auto obs_dim = *rc::gen::inRange<int64_t>(1, 5);
    const auto action_dim = *rc::gen::inRange<int64_t>(1, 4);
    const Segment segment = AnySegment(n, obs_dim, action_dim);
    data::v1::Segment message;
    Encode(segment, &message);
    const auto back = Decode(message, Spec(obs_dim, action_dim));
    RC_ASSERT(back.ok());
    RC_ASSERT(back->episode_id == segment.episode_id);
    RC_ASSERT(back->first_t == segment.first_t);
    RC_ASSERT(back->observations == segment.observations);
    RC_ASSERT(back->actions == segment.actions);
    RC_ASSERT(back->rewards == segment.rewards);
    RC_ASSERT(back->log_probs == segment.log_probs);
    RC_ASSERT(back->terminated == segment.terminated);
    RC_ASSERT(back->truncated == segment.truncated);
    RC_ASSERT(back->purpose == segment.purpose);
    RC_ASSERT(back->policy_version == segment.policy_version);
    RC_ASSERT(back->model_version == segment.model_version);
  }));
}

TEST(DataCodecTest, SegmentOfAnotherShapeIsRefused) {
  Segment segment;
  segment.observations = {1, 2, 3, 4};
  segment.actions = {1};
  segment.rewards = {1};
  data::v1::Segment message;
  Encode(segment, &message);
  const auto ok = Decode(message, Spec(2, 1));
  ASSERT_TRUE(ok.ok()) << ok.status();
  EXPECT_EQ(ok->log_probs, std::vector<float>{0}) << "left out: unknown";
  EXPECT_EQ(Decode(message, Spec(4, 1)).status().message(),
            "segment.observations: expected float32 [2, 4], got float32 [2, 2]");
  EXPECT_EQ(Decode(message, Spec(2, 3)).status().message(),
            "segment.actions: expected float32 [1, 3], got float32 [1, 1]");
  message.mutable_log_probs()->set_dtype(data::v1::DTYPE_FLOAT32);
  EXPECT_EQ(Decode(message, Spec(2, 1)).status().message(),
            "segment.log_probs: expected float32 [1], got float32 []");
  message.clear_log_probs();
  message.set_purpose(static_cast<data::v1::Purpose>(9));
  EXPECT_THAT(Decode(message, Spec(2, 1)).status().message(), HasSubstr("got 9"));
  message.clear_purpose();
  EXPECT_EQ(Decode(message, Spec(2, 1))->purpose, Purpose::kTraining);
  message.mutable_rewards()->set_shape(0, std::numeric_limits<int64_t>::max());
  EXPECT_FALSE(Decode(message, Spec(2, 1)).ok());
}

TEST(DataCodecTest, EpisodeTravels) {
  Episode e;
  e.episode_id = 9;
  e.purpose = Purpose::kEvaluation;
  e.episode_return = -12.5;
  e.length = 33;
  e.terminated = true;
  e.policy_version = 4;
  e.policy_updates = 400;
  e.initial_observation = {1, 2};
  e.env_steps = 77;
  e.evaluation_id = 250;
  e.evaluation_size = 10;
  e.failure = "crashed";
  e.policies = {{0, 3, 300}, {20, 4, 400}};
  data::v1::Episode message;
  Encode(e, &message);
  const auto back = Decode(message);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->episode_id, 9u);
  EXPECT_EQ(back->purpose, Purpose::kEvaluation);
  EXPECT_EQ(back->episode_return, -12.5);
  EXPECT_EQ(back->length, 33);
  EXPECT_TRUE(back->terminated);
  EXPECT_EQ(back->policy_version, 4u);
  EXPECT_EQ(back->policy_updates, 400u);
  EXPECT_EQ(back->initial_observation, e.initial_observation);
  EXPECT_EQ(back->env_steps, 77);
  EXPECT_EQ(back->evaluation_id, 250u);
  EXPECT_EQ(back->evaluation_size, 10);
  EXPECT_EQ(back->failure, "crashed");
  EXPECT_EQ(back->policies, e.policies);
}

TEST(DataCodecTest, TransitionsTravelWholeAndInParts) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<int64_t>(1, 20);
    const TransitionBatch batch =
        AnyBatch(n, *rc::gen::inRange<int64_t>(1, 4), *rc::gen::inRange<int64_t>(1, 3));
    const auto cut = *rc::gen::inRange<int64_t>(0, n + 1);
    data::v1::TransitionBatch first, second;
    EncodeRows(batch, 0, cut, &first);
    EncodeRows(batch, cut, n, &second);
    auto joined = Decode(first);
    const auto rest = Decode(second);
    RC_ASSERT(joined.ok());
    RC_ASSERT(rest.ok());
    joined->Append(*rest);
    ExpectSame(*joined, batch);
  }));
}

TEST(DataCodecTest, ColumnsLeftOutStayOut) {
  TransitionBatch batch;
  batch.obs_dim = 2;
  batch.observations = {1, 2, 3, 4};
  data::v1::TransitionBatch message;
  EncodeRows(batch, 0, 2, &message);
  EXPECT_FALSE(message.has_actions());
  const auto back = Decode(message);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->size(), 2);
  EXPECT_TRUE(back->rewards.empty());
  EXPECT_EQ(Decode(data::v1::TransitionBatch())->size(), 0);
}

TEST(DataCodecTest, ColumnsOfDifferentLengthAreRefused) {
  TransitionBatch batch;
  batch.obs_dim = 1;
  batch.observations = {1, 2};
  batch.rewards = {1, 2};
  batch.splits = {1, 1};
  data::v1::TransitionBatch message;
  EncodeRows(batch, 0, 2, &message);
  auto wrong = message;
  wrong.mutable_rewards()->set_shape(0, 1);
  EXPECT_EQ(Decode(wrong).status().message(),
            "transitions.rewards: expected float32 [2], got float32 [1]");
  wrong = message;
  wrong.mutable_splits()->set_dtype(data::v1::DTYPE_INT64);
  EXPECT_THAT(Decode(wrong).status().message(), HasSubstr("transitions.splits: expected uint8"));
}

TEST(DataCodecTest, SequencesTravelAndAreChecked) {
  SequenceBatch b;
  b.batch_size = 2;
  b.length = 3;
  b.obs_dim = 2;
  b.action_dim = 1;
  for (int i = 0; i < 16; ++i) b.observations.push_back(static_cast<float>(i));
  b.actions = {1, 2, 3, 4, 5, 6};
  b.rewards = {6, 5, 4, 3, 2, 1};
  b.terminated = {0, 0, 1, 0, 0, 0};
  b.mask = {1, 1, 1, 1, 0, 0};
  b.indices = {10, 20};
  data::v1::SequenceBatch message;
  EncodeRows(b, 1, 2, &message);
  const auto second = Decode(message);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->batch_size, 1);
  EXPECT_EQ(second->length, 3);
  EXPECT_EQ(second->observations, (std::vector<float>{8, 9, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(second->actions, (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(second->mask, (std::vector<uint8_t>{1, 0, 0}));
  EXPECT_EQ(second->indices, std::vector<int64_t>{20});
  message.mutable_mask()->set_shape(1, 2);
  EXPECT_THAT(Decode(message).status().message(),
              HasSubstr("sequences.mask: expected uint8 [1, 3]"));
  EXPECT_FALSE(Decode(data::v1::SequenceBatch()).ok());
  auto huge = message;
  huge.mutable_rewards()->set_shape(0, 0);
  huge.mutable_rewards()->set_shape(1, std::numeric_limits<int64_t>::max());
  huge.mutable_rewards()->clear_data();
  EXPECT_FALSE(Decode(huge).ok());
}

TEST(DataCodecTest, RowsPerMessageKeepToTheLimit) {
  TransitionBatch batch;
  batch.obs_dim = 1000;
  batch.observations.resize(5'000'000);
  const int64_t rows = RowsPerMessage(batch);
  data::v1::TransitionBatch message;
  EncodeRows(batch, 0, rows, &message);
  EXPECT_LE(static_cast<int64_t>(message.ByteSizeLong()), kMaxMessageBytes);
  EXPECT_GT(static_cast<int64_t>(message.ByteSizeLong()), kMaxMessageBytes * 98 / 100);
  batch.obs_dim = 5'000'000;
  EXPECT_EQ(RowsPerMessage(batch), 1);
}

}  // namespace
}  // namespace tandem::codec
