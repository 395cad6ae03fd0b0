#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "common/data/batch.h"
#include "common/data/spec.h"

namespace tandem {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

EnvironmentSpec MakeSpec() {
  EnvironmentSpec spec;
  spec.name = "task";
  spec.observation = {{-kInf, -1}, {kInf, 1}};
  spec.action = {{-2}, {2}};
  spec.max_episode_steps = 10;
  return spec;
}

Segment MakeSegment() {
  Segment segment;
  segment.observations = {0, 1, 2, 3, 4, 5};
  segment.actions = {1, 2};
  segment.rewards = {1, 1};
  segment.log_probs = {0, -1};
  return segment;
}

Episode MakeEpisode() {
  Episode episode;
  episode.episode_return = 3;
  episode.length = 2;
  episode.initial_observation = {0, 1};
  return episode;
}

template <typename T>
std::string Complaint(const T& value) {
  const absl::Status status = Validate(value, MakeSpec());
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

std::string Complaint(const EnvironmentSpec& spec) {
  const absl::Status status = Validate(spec);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(ValidateSpec, AcceptsAGoodOneAndUnboundedObservations) {
  EXPECT_TRUE(Validate(MakeSpec()).ok());
}

TEST(ValidateSpec, SaysWhatIsWrong) {
  EnvironmentSpec spec = MakeSpec();
  spec.name.clear();
  EXPECT_EQ(Complaint(spec), "environment spec: expected a name, got an empty one");
  spec = MakeSpec();
  spec.observation = {};
  EXPECT_EQ(Complaint(spec), "observation space: expected dimension >= 1, got 0");
  spec = MakeSpec();
  spec.action.high = {1, 2};
  EXPECT_EQ(Complaint(spec), "action space: expected as many upper as lower bounds (1), got 2");
  spec = MakeSpec();
  spec.action.high = {kInf};
  EXPECT_EQ(Complaint(spec),
            "action space: expected finite bounds in element 0, got low = -2, high = inf");
  spec = MakeSpec();
  spec.action = {{2}, {2}};
  EXPECT_EQ(Complaint(spec),
            "action space: expected low < high in element 0, got low = 2, high = 2");
  spec = MakeSpec();
  spec.observation.low[1] = kNan;
  EXPECT_THAT(Complaint(spec),
              testing::HasSubstr("expected low <= high in element 1, got low = nan"));
  spec = MakeSpec();
  spec.max_episode_steps = -1;
  EXPECT_EQ(Complaint(spec), "environment spec: expected max_episode_steps >= 0, got -1");
}

TEST(ValidateSegment, AcceptsAGoodOneAndEitherEnd) {
  Segment segment = MakeSegment();
  EXPECT_TRUE(Validate(segment, MakeSpec()).ok());
  segment.terminated = true;
  EXPECT_TRUE(Validate(segment, MakeSpec()).ok());
}

TEST(ValidateSegment, SaysWhichShapeIsWrong) {
  EXPECT_EQ(Complaint(Segment()), "segment: expected at least 1 step, got 0 rewards");
  Segment segment = MakeSegment();
  segment.observations.resize(4);
  EXPECT_EQ(Complaint(segment), "segment: expected 6 numbers in observations, got 4");
  segment = MakeSegment();
  segment.actions.push_back(0);
  EXPECT_EQ(Complaint(segment), "segment: expected 2 numbers in actions, got 3");
  segment = MakeSegment();
  segment.log_probs.clear();
  EXPECT_EQ(Complaint(segment), "segment: expected 2 numbers in log_probs, got 0");
  segment = MakeSegment();
  segment.first_t = -1;
  EXPECT_EQ(Complaint(segment), "segment: expected first_t >= 0, got -1");
  segment = MakeSegment();
  segment.terminated = segment.truncated = true;
  EXPECT_THAT(Complaint(segment), testing::HasSubstr("got both"));
  segment = MakeSegment();
  segment.purpose = static_cast<Purpose>(0);
  EXPECT_THAT(Complaint(segment), testing::EndsWith("got 0"));
}

TEST(ValidateSegment, NamesRowAndColumnOfANumberThatIsNotFinite) {
  Segment segment = MakeSegment();
  segment.observations[5] = kNan;
  EXPECT_EQ(Complaint(segment),
            "segment: expected finite numbers, got nan in observations, row 2, column 1");
  segment = MakeSegment();
  segment.actions[1] = -kInf;
  EXPECT_EQ(Complaint(segment),
            "segment: expected finite numbers, got -inf in actions, row 1, column 0");
  segment = MakeSegment();
  segment.rewards[0] = kInf;
  EXPECT_EQ(Complaint(segment),
            "segment: expected finite numbers, got inf in rewards, row 0, column 0");
  segment = MakeSegment();
  segment.log_probs[1] = kNan;
  EXPECT_THAT(Complaint(segment), testing::HasSubstr("log_probs, row 1"));
}

TEST(ValidateEpisode, AcceptsBothPurposes) {
  Episode episode = MakeEpisode();
  EXPECT_TRUE(Validate(episode, MakeSpec()).ok());
  episode.purpose = Purpose::kEvaluation;
  episode.evaluation_id = 250;
  episode.evaluation_size = 10;
  EXPECT_TRUE(Validate(episode, MakeSpec()).ok());
}

TEST(ValidateEpisode, AFailureTruncates) {
  Episode episode = MakeEpisode();
  episode.failure = "crashed";
  EXPECT_TRUE(Validate(episode, MakeSpec()).ok());
  episode.purpose = Purpose::kEvaluation;  // of no evaluation: it is played again
  EXPECT_TRUE(Validate(episode, MakeSpec()).ok());
  episode.terminated = true;
  EXPECT_THAT(Complaint(episode), testing::HasSubstr("got both, crashed"));
  episode.terminated = false;
  episode.failure = std::string(65, 'x');
  EXPECT_THAT(Complaint(episode), testing::HasSubstr("at most 64 bytes, got 65"));
}

TEST(ValidateEpisode, ThePoliciesStandInOrder) {
  Episode episode = MakeEpisode();
  episode.length = 100;
  episode.policies = {{0, 0, 0}, {40, 1, 10}, {99, 2, 20}};
  EXPECT_TRUE(Validate(episode, MakeSpec()).ok());
  episode.policies[2].first_t = 100;
  EXPECT_THAT(Complaint(episode), testing::HasSubstr("before step 100, got first_t 100"));
  episode.policies[2].first_t = 40;
  EXPECT_THAT(Complaint(episode), testing::EndsWith("got first_t 40"));
  episode.policies = {{1, 1, 10}};
  EXPECT_THAT(Complaint(episode), testing::EndsWith("got first_t 1"));
  episode.policies.clear();
  for (int64_t t = 0; t < 65; ++t) episode.policies.push_back({t, 1, 10});
  EXPECT_THAT(Complaint(episode), testing::HasSubstr("at most 64 policies, got 65"));
}

TEST(ValidateEpisode, SaysWhatIsWrong) {
  Episode episode = MakeEpisode();
  episode.length = 0;
  EXPECT_EQ(Complaint(episode), "episode: expected length >= 1, got 0");
  episode = MakeEpisode();
  episode.episode_return = kNan;
  EXPECT_EQ(Complaint(episode), "episode: expected a finite return, got nan");
  episode = MakeEpisode();
  episode.initial_observation = {1};
  EXPECT_EQ(Complaint(episode), "episode: expected 2 numbers in initial_observation, got 1");
  episode.initial_observation = {1, kInf};
  EXPECT_THAT(Complaint(episode),
              testing::HasSubstr("inf in initial_observation, row 0, column 1"));
  episode = MakeEpisode();
  episode.evaluation_id = 5;
  EXPECT_THAT(Complaint(episode), testing::HasSubstr("got evaluation_id 5"));
  episode = MakeEpisode();
  episode.purpose = Purpose::kEvaluation;
  EXPECT_THAT(Complaint(episode), testing::HasSubstr("got 0 and 0"));
  episode.purpose = static_cast<Purpose>(9);
  EXPECT_THAT(Complaint(episode), testing::EndsWith("got 9"));
}

TransitionBatch MakeBatch(int64_t rows, float first) {
  TransitionBatch batch;
  batch.obs_dim = 2;
  batch.action_dim = 1;
  for (int64_t i = 0; i < rows; ++i) {
    const float x = first + static_cast<float>(i);
    batch.observations.insert(batch.observations.end(), {x, x + 0.5f});
    batch.actions.push_back(x);
    batch.rewards.push_back(x);
    batch.next_observations.insert(batch.next_observations.end(), {x + 1, x + 1.5f});
    batch.terminated.push_back(i % 2);
    batch.truncated.push_back(0);
    batch.indices.push_back(static_cast<int64_t>(x));
    batch.episodes.push_back(1);
    batch.times.push_back(i);
    batch.policy_versions.push_back(7);
    batch.splits.push_back(static_cast<uint8_t>(Split::kTrain));
  }
  return batch;
}

TEST(TransitionBatch, AppendsTheRowsAskedFor) {
  TransitionBatch batch;
  batch.Append(MakeBatch(4, 10), 1, 3);
  batch.Append(MakeBatch(1, 20));
  EXPECT_EQ(batch.size(), 3);
  EXPECT_EQ(batch.observations, (std::vector<float>{11, 11.5, 12, 12.5, 20, 20.5}));
  EXPECT_EQ(batch.next_observations, (std::vector<float>{12, 12.5, 13, 13.5, 21, 21.5}));
  EXPECT_EQ(batch.actions, (std::vector<float>{11, 12, 20}));
  EXPECT_EQ(batch.rewards, (std::vector<float>{11, 12, 20}));
  EXPECT_EQ(batch.terminated, (std::vector<uint8_t>{1, 0, 0}));
  EXPECT_EQ(batch.truncated.size(), 3u);
  EXPECT_EQ(batch.indices, (std::vector<int64_t>{11, 12, 20}));
  EXPECT_EQ(batch.times, (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(batch.episodes.size(), 3u);
  EXPECT_EQ(batch.policy_versions.size(), 3u);
  EXPECT_EQ(batch.splits.size(), 3u);
}

TEST(EnvironmentSpec, TellsWhereTwoDiffer) {
  const EnvironmentSpec spec = {"box", {{-1, -2}, {1, 3}}, {{-1}, {1}}, 5};
  EXPECT_EQ(FirstDifference(spec, spec), "");
  const auto differs = [&spec](auto change) {
    EnvironmentSpec other = spec;
    change(other);
    return FirstDifference(spec, other);
  };
  EXPECT_EQ(differs([](auto& s) { s.name = "b"; }), "name: expected box, got b");
  EXPECT_EQ(differs([](auto& s) {
              s.observation = {{0}, {1}};
            }),
            "observation size: expected 2, got 1");
  EXPECT_EQ(differs([](auto& s) { s.observation.high[1] = 8; }),
            "observation high in element 1: expected 3, got 8");
  EXPECT_EQ(differs([](auto& s) { s.action.low[0] = -2; }),
            "action low in element 0: expected -1, got -2");
  EXPECT_EQ(differs([](auto& s) { s.max_episode_steps = 0; }),
            "max_episode_steps: expected 5, got 0");
}

TEST(TransitionBatch, KeepsLeftOutColumnsEmptyAndAppendsNothing) {
  TransitionBatch other = MakeBatch(2, 0);
  other.rewards.clear();
  TransitionBatch batch;
  batch.Append(other, 2, 2);
  EXPECT_EQ(batch.size(), 0);
  batch.Append(other);
  EXPECT_EQ(batch.size(), 2);
  EXPECT_TRUE(batch.rewards.empty());
}

TEST(TransitionBatchDeathTest, OtherDimensionsAreABrokenInvariant) {
  TransitionBatch batch = MakeBatch(1, 0);
  TransitionBatch other = MakeBatch(1, 0);
  other.action_dim = 2;
  EXPECT_DEATH(batch.Append(other), "check failed");
  EXPECT_DEATH(batch.Append(MakeBatch(2, 0), 1, 3), "check failed");
}

}  // namespace
}  // namespace tandem
