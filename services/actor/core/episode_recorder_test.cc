#include "services/actor/core/episode_recorder.h"

#include <gtest/gtest.h>

#include "services/actor/core/testing/failing_environments.h"
#include "services/actor/core/testing/fakes.h"

namespace tandem::actor {
namespace {

using Floats = std::vector<float>;

class Recorder : public testing::Test {
 protected:
  void Use(std::unique_ptr<VectorEnvironment> env, const EpisodeRecorder::Options& options = {}) {
    env_ = std::move(env);
    recorder_ = std::make_unique<EpisodeRecorder>(env_->spec(), env_->num_envs(), options, &next_);
    recorder_->StartAll(*env_);
  }
  // One step; the action and the reward of environment i is action + i.
  void Step(float action) {
    Floats actions, log_probs;
    for (int i = 0; i < env_->num_envs(); ++i) {
      actions.push_back(action + static_cast<float>(i));
      log_probs.push_back(-action);
    }
    ASSERT_TRUE(env_->Step(actions).ok());
    recorder_->Record(*env_, actions, log_probs, env_->TakeFaults());
  }
  // Everything taken fits the spec.
  Recording Take() {
    Recording recording = recorder_->Take();
    for (const Segment& segment : recording.segments) {
      EXPECT_TRUE(Validate(segment, env_->spec()).ok()) << Validate(segment, env_->spec());
    }
    for (const Episode& episode : recording.episodes) {
      EXPECT_TRUE(Validate(episode, env_->spec()).ok()) << Validate(episode, env_->spec());
    }
    return recording;
  }
  uint64_t next_ = 1;
  std::unique_ptr<VectorEnvironment> env_;
  std::unique_ptr<EpisodeRecorder> recorder_;
};

TEST_F(Recorder, AnOpenEpisodeGoesOnInTheNextSegment) {
  Use(Counting({9}));
  Step(0.1f);
  Step(0.2f);
  Recording first = Take();
  ASSERT_EQ(first.segments.size(), 1u);
  EXPECT_TRUE(first.episodes.empty());
  EXPECT_EQ(first.segments[0].observations, (Floats{1, 0, 1, 1, 1, 2}));
  EXPECT_EQ(first.segments[0].actions, (Floats{0.1f, 0.2f}));
  EXPECT_EQ(first.segments[0].rewards, (Floats{0.1f, 0.2f}));
  EXPECT_EQ(first.segments[0].log_probs, (Floats{-0.1f, -0.2f}));
  EXPECT_FALSE(first.segments[0].terminated || first.segments[0].truncated);
  EXPECT_TRUE(Take().empty());
  Step(0.3f);
  Recording second = Take();
  ASSERT_EQ(second.segments.size(), 1u);
  EXPECT_EQ(second.segments[0].episode_id, first.segments[0].episode_id);
  EXPECT_EQ(second.segments[0].first_t, 2);
  EXPECT_EQ(second.segments[0].observations, (Floats{1, 2, 1, 3}));
}

TEST_F(Recorder, ACutEpisodeCountsAndEndsWithItsLastStep) {
  Use(Counting({9, 2}));
  Step(1);
  Step(1);
  Take();  // the second environment's next episode has no step yet
  recorder_->Cut("why");
  Recording taken = Take();
  EXPECT_TRUE(taken.segments.empty());
  ASSERT_EQ(taken.episodes.size(), 1u);
  EXPECT_EQ(taken.episodes[0].length, 2);
  EXPECT_EQ(taken.episodes[0].failure, "why");
  EXPECT_EQ(recorder_->recording_envs(), 0);
  Step(1);
  EXPECT_TRUE(Take().empty());

  Use(Counting({9}));
  Step(1);
  recorder_->Cut("why");
  taken = Take();
  ASSERT_EQ(taken.segments.size(), 1u);
  EXPECT_TRUE(taken.segments[0].truncated);
  EXPECT_EQ(taken.episodes.size(), 1u);
}

TEST_F(Recorder, EpisodesEndWithTheirSegmentsAndOthersBegin) {
  Use(Counting({2, 3}));
  recorder_->SetPolicy(7, 70);
  for (int t = 0; t < 3; ++t) Step(1);
  const Recording recording = Take();
  ASSERT_EQ(recording.episodes.size(), 2u);
  ASSERT_EQ(recording.segments.size(), 3u);
  const Segment& ended = recording.segments[0];
  EXPECT_TRUE(ended.terminated);
  EXPECT_EQ(ended.observations, (Floats{1, 0, 1, 1, 1, 2}));  // its own last observation
  const Segment& begun = recording.segments[2];
  EXPECT_EQ(begun.observations, (Floats{2, 0, 2, 1}));
  EXPECT_EQ(begun.first_t, 0);
  EXPECT_NE(begun.episode_id, ended.episode_id);
  const Episode& episode = recording.episodes[1];
  EXPECT_EQ(episode.episode_id, recording.segments[1].episode_id);
  EXPECT_EQ(episode.length, 3);
  EXPECT_EQ(episode.episode_return, 6);
  EXPECT_TRUE(episode.terminated);
  EXPECT_EQ(episode.initial_observation, (Floats{1, 0}));
  EXPECT_EQ(episode.policy_version, 7u);
  EXPECT_EQ(episode.policy_updates, 70u);
}

TEST_F(Recorder, EachSegmentHasOnePolicy) {
  Use(Counting({9}));
  Step(0);
  recorder_->SetPolicy(1, 0);
  Step(0);
  recorder_->SetPolicy(1, 0);  // no change, no cut
  Step(0);
  recorder_->SetPolicy(2, 10);
  Step(0);
  const Recording recording = Take();
  ASSERT_EQ(recording.segments.size(), 3u);
  for (uint64_t version = 0; version < 3; ++version) {
    EXPECT_EQ(recording.segments[version].policy_version, version);
  }
  EXPECT_EQ(recording.segments[1].size(), 2);
  EXPECT_EQ(recording.segments[2].first_t, 3);
}

TEST_F(Recorder, AnEpisodeIsOfThePolicyThatActedLast) {
  Use(Counting({3}));
  recorder_->SetPolicy(1, 10);
  Step(0);
  recorder_->SetPolicy(2, 20);
  for (int t = 0; t < 2; ++t) Step(0);
  recorder_->SetPolicy(3, 30);  // between the end of one and the first step of the next
  for (int t = 0; t < 2; ++t) Step(0);
  recorder_->SetPolicy(4, 40);
  Step(0);
  const Recording recording = Take();
  ASSERT_EQ(recording.episodes.size(), 2u);
  EXPECT_EQ(recording.episodes[0].policy_version, 2u);
  EXPECT_EQ(recording.episodes[0].policy_updates, 20u);
  EXPECT_EQ(recording.episodes[1].policy_version, 4u);
  EXPECT_EQ(recording.episodes[1].policy_updates, 40u);
}

TEST_F(Recorder, AnEpisodeNamesThePoliciesThatActedInIt) {
  Use(Counting({4}));
  recorder_->SetPolicy(1, 10);
  for (int t = 0; t < 5; ++t) Step(0);  // one episode of one policy, and the first step of the next
  recorder_->SetPolicy(2, 20);
  Step(0);
  Step(0);
  recorder_->SetPolicy(3, 30);
  Step(0);
  const Recording recording = Take();
  ASSERT_EQ(recording.episodes.size(), 2u);
  EXPECT_TRUE(recording.episodes[0].policies.empty());
  EXPECT_EQ(recording.episodes[1].policies,
            (std::vector<ActingPolicy>{{0, 1, 10}, {1, 2, 20}, {3, 3, 30}}));
  EXPECT_EQ(recording.episodes[1].policy_updates, 30u);
}

TEST_F(Recorder, OfVeryManyPoliciesItNamesSomeEvenlySpread) {
  constexpr int kSteps = 1000;
  Use(Counting({kSteps}));
  for (int t = 0; t < kSteps; ++t) {
    recorder_->SetPolicy(static_cast<uint64_t>(t + 1), static_cast<uint64_t>(10 * t));
    Step(0);
    if (recorder_->full()) Take();
  }
  const Recording recording = Take();
  ASSERT_EQ(recording.episodes.size(), 1u);
  const std::vector<ActingPolicy>& policies = recording.episodes[0].policies;
  ASSERT_GT(policies.size(), Episode::kMostPolicies / 2);
  for (size_t i = 1; i < policies.size(); ++i) {
    EXPECT_EQ(policies[i].first_t - policies[i - 1].first_t, 16);
    EXPECT_EQ(policies[i].policy_updates, 10u * static_cast<uint64_t>(policies[i].first_t));
  }
  EXPECT_GE(policies.back().first_t, kSteps - 16);
}

TEST_F(Recorder, DivergenceTruncatesAtTheLastGoodStep) {
  Use(Counting({9}, /*diverge_at=*/3));
  for (int t = 0; t < 5; ++t) Step(1);
  const Recording recording = Take();
  ASSERT_EQ(recording.segments.size(), 2u);
  EXPECT_TRUE(recording.segments[0].truncated);
  EXPECT_EQ(recording.segments[0].observations, (Floats{1, 0, 1, 1, 1, 2}));
  EXPECT_EQ(recording.segments[1].observations, (Floats{2, 0, 2, 1}));
  ASSERT_EQ(recording.episodes.size(), 1u);
  EXPECT_FALSE(recording.episodes[0].terminated);
  EXPECT_EQ(recording.episodes[0].length, 2);
  EXPECT_EQ(recording.episodes[0].failure, "not_finite");
}

// As in lockstep with an environment, where each step is taken at once.
TEST_F(Recorder, DivergenceAfterTakeEndsTheEpisodeByItsSummary) {
  Use(Counting({2}, /*diverge_at=*/2));
  recorder_->SetPolicy(7, 70);
  Step(1);
  const uint64_t cut_short = Take().segments[0].episode_id;
  Step(1);
  const Recording lost = Take();
  EXPECT_TRUE(lost.segments.empty());
  ASSERT_EQ(lost.episodes.size(), 1u);
  EXPECT_EQ(lost.episodes[0].episode_id, cut_short);
  EXPECT_EQ(lost.episodes[0].length, 1);
  EXPECT_EQ(lost.episodes[0].episode_return, 1);
  EXPECT_EQ(lost.episodes[0].failure, "not_finite");
  EXPECT_EQ(lost.episodes[0].policy_updates, 70u);
  EXPECT_FALSE(lost.episodes[0].terminated);
  for (int t = 0; t < 3; ++t) Step(1);
  const Recording recording = Take();
  ASSERT_EQ(recording.episodes.size(), 1u);
  EXPECT_NE(recording.episodes[0].episode_id, cut_short);
  EXPECT_EQ(recording.episodes[0].length, 2);
  EXPECT_EQ(recording.episodes[0].failure, "");
}

// Twice, with its steps kept and not.
TEST_F(Recorder, AnEvaluationEpisodeThatIsLostIsPlayedAgain) {
  for (const bool keep_steps : {false, true}) {
    Use(Counting({3}, /*diverge_at=*/2), {.purpose = Purpose::kEvaluation,
                                          .keep_steps = keep_steps,
                                          .first_episode_only = true,
                                          .evaluation_id = 1,
                                          .evaluation_size = 1});
    for (int t = 0; t < 3; ++t) Step(1);  // a good step, the loss, the new start
    EXPECT_EQ(recorder_->recording_envs(), 1);
    EXPECT_EQ(recorder_->episodes_ended(), 0);
    const Recording lost = Take();
    EXPECT_TRUE(lost.episodes.empty());
    ASSERT_EQ(lost.segments.size(), keep_steps ? 1u : 0u);
    for (const Segment& segment : lost.segments) EXPECT_TRUE(segment.truncated);
    for (int t = 0; t < 3; ++t) Step(1);
    EXPECT_EQ(recorder_->recording_envs(), 0);
    const Recording whole = Take();
    ASSERT_EQ(whole.episodes.size(), 1u);
    EXPECT_EQ(whole.episodes[0].length, 3);
    EXPECT_TRUE(whole.episodes[0].terminated);
    EXPECT_EQ(recorder_->return_sum(), 3);
  }
}

const EpisodeRecorder::Options kEvaluationOfTwo = {.purpose = Purpose::kEvaluation,
                                                   .first_episode_only = true,
                                                   .evaluation_id = 1,
                                                   .evaluation_size = 2,
                                                   .max_losses = 2};

TEST_F(Recorder, TheLastLossThatIsAllowedCountsTheEpisodeAsItIs) {
  using enum Outcome;
  Use(std::make_unique<FailingEnvironments>(2, 5,
                                            FailingEnvironments::Script{{kStepped, kStepped},
                                                                        {kLost, kStepped},
                                                                        {kStarted, kStepped},
                                                                        {kStepped, kStepped},
                                                                        {kLost, kStepped}}),
      kEvaluationOfTwo);
  Step(1);
  Take();  // the loss that follows finds no step that was not taken
  Step(1);
  EXPECT_TRUE(Take().episodes.empty()) << "they come together";
  for (int t = 0; t < 3; ++t) Step(1);
  EXPECT_EQ(recorder_->recording_envs(), 0);
  EXPECT_EQ(recorder_->episodes_ended(), 2);
  const Recording recording = Take();
  ASSERT_EQ(recording.episodes.size(), 3u);
  const Episode& closed = recording.episodes[0];
  EXPECT_EQ(closed.evaluation_id, 0u) << "closed, and not counted";
  EXPECT_EQ(closed.evaluation_size, 0);
  EXPECT_EQ(closed.failure, "crashed");
  const Episode& counted = recording.episodes[1];
  EXPECT_EQ(counted.length, 1);
  EXPECT_EQ(counted.failure, "crashed");
  EXPECT_EQ(counted.evaluation_size, 2);
  EXPECT_TRUE(recording.episodes[2].terminated);
}

TEST_F(Recorder, AnEvaluationThatIsGivenUpCountsNothingAndLeavesNothingOpen) {
  Use(std::make_unique<FailingEnvironments>(
          2, 2,
          FailingEnvironments::Script{{Outcome::kStepped, Outcome::kLost},
                                      {Outcome::kStepped, Outcome::kStarted},
                                      {Outcome::kStepped, Outcome::kStepped}}),
      kEvaluationOfTwo);
  for (int t = 0; t < 3; ++t) Step(1);
  const std::vector<Segment> before = Take().segments;
  ASSERT_EQ(before.size(), 2u);
  EXPECT_TRUE(before[0].terminated);
  recorder_->Abandon();
  EXPECT_EQ(recorder_->recording_envs(), 0);
  const Recording rest = Take();
  EXPECT_TRUE(rest.segments.empty());
  ASSERT_EQ(rest.episodes.size(), 1u) << "the whole one is not counted, the other one is closed";
  EXPECT_EQ(rest.episodes[0].episode_id, before[1].episode_id);
  EXPECT_EQ(rest.episodes[0].failure, "abandoned");
  EXPECT_EQ(rest.episodes[0].evaluation_size, 0);
  Step(1);
  EXPECT_TRUE(Take().empty());
}

TEST_F(Recorder, DivergenceAtTheFirstStepLeavesNoEpisode) {
  Use(Counting({9}, /*diverge_at=*/1));
  Step(1);
  EXPECT_TRUE(Take().empty());
}

TEST_F(Recorder, EvaluationKeepsOneEpisodeOfEachAndNoSteps) {
  Use(Counting({2, 5}), {.purpose = Purpose::kEvaluation,
                         .keep_steps = false,
                         .first_episode_only = true,
                         .evaluation_id = 250,
                         .evaluation_size = 2});
  int steps = 0;
  for (; recorder_->recording_envs() > 0; ++steps) Step(1);
  EXPECT_EQ(steps, 5);
  EXPECT_EQ(recorder_->episodes_ended(), 2);
  EXPECT_EQ(recorder_->return_sum(), 2 * 1 + 5 * 2);
  const Recording recording = Take();
  EXPECT_TRUE(recording.segments.empty());
  ASSERT_EQ(recording.episodes.size(), 2u);
  EXPECT_EQ(recording.episodes[0].length, 2);
  EXPECT_EQ(recording.episodes[1].evaluation_id, 250u);
  EXPECT_EQ(recording.episodes[1].evaluation_size, 2);
}

TEST_F(Recorder, IsFullAfter256Steps) {
  Use(Counting({1000, 1000}));
  for (int t = 0; t < 127; ++t) Step(0);
  EXPECT_FALSE(recorder_->full());
  Step(0);
  EXPECT_TRUE(recorder_->full());
  Take();
  EXPECT_FALSE(recorder_->full());
}

TEST_F(Recorder, StartAllDropsWhatWasRecorded) {
  Use(Counting({2}));
  for (int t = 0; t < 3; ++t) Step(0);
  ASSERT_TRUE(env_->ResetAll().ok());
  recorder_->StartAll(*env_);
  EXPECT_TRUE(Take().empty());
}

}  // namespace
}  // namespace tandem::actor
