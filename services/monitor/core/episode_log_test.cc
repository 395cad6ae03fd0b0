#include "services/monitor/core/episode_log.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using testing::EvaluationEpisode;
using testing::TrainingEpisode;

TEST(EpisodeLogTest, KnowsNothingAtFirst) {
  EpisodeLog log;
  EXPECT_TRUE(log.TakeEvaluations().empty());
  EXPECT_TRUE(log.TakeTraining(1000).empty());
  EXPECT_TRUE(std::isnan(log.training_return()));
  EXPECT_TRUE(std::isnan(log.evaluation_return()));
  EXPECT_TRUE(std::isnan(log.return_scale()));
}

TEST(EpisodeLogTest, OneLuckyEpisodeDoesNotSetTheScale) {
  EpisodeLog log;
  for (int i = 0; i < 10; ++i) log.Add(TrainingEpisode(10));
  log.Add(TrainingEpisode(110));
  EXPECT_NEAR(log.return_scale(), 20, 1e-9);  // the mean of five is 30
  EXPECT_EQ(log.training_return(), 110);
}

TEST(EpisodeLogTest, AnEvaluationCountsOnceItIsWhole) {
  EpisodeLog log;
  log.Add(TrainingEpisode(0));
  log.Add(EvaluationEpisode(7, 3, 10, 50));
  log.Add(EvaluationEpisode(7, 3, 20, 50));
  EXPECT_TRUE(std::isnan(log.evaluation_return()));
  log.Add(EvaluationEpisode(7, 3, 60, 50));
  EXPECT_NEAR(log.evaluation_return(), 30, 1e-9);
  EXPECT_NEAR(log.return_scale(), 30, 1e-9);
  const std::vector<Evaluation> evaluations = log.TakeEvaluations();
  ASSERT_EQ(evaluations.size(), 1u);
  EXPECT_EQ(evaluations[0].size(), 3u);
  EXPECT_TRUE(log.TakeEvaluations().empty());
}

TEST(EpisodeLogTest, TrainingEpisodesOfPoliciesWaitForTheirCheckpoint) {
  EpisodeLog log;
  Episode episode = TrainingEpisode(1);  // random actions
  log.Add(episode);
  episode.policy_version = 3;
  for (int64_t steps : {100, 200, 300}) {
    episode.env_steps = steps;
    log.Add(episode);
  }
  EXPECT_EQ(log.TakeTraining(250).size(), 2u);
  EXPECT_EQ(log.TakeTraining(250).size(), 0u);
  EXPECT_EQ(log.TakeTraining(300).size(), 1u);
  for (size_t i = 0; i < EpisodeLog::kMostTraining + 5; ++i) log.Add(episode);
  EXPECT_EQ(log.TakeTraining(300).size(), EpisodeLog::kMostTraining);
}

TEST(EpisodeLogTest, AnEpisodeThatBeganWithRandomActionsIsNoPolicys) {
  EpisodeLog log;
  Episode episode = TrainingEpisode(1);
  episode.policy_version = 2;
  episode.policies = {{0, 0, 0}, {4, 1, 10}, {8, 2, 20}};
  log.Add(episode);
  episode.policies.erase(episode.policies.begin());
  episode.policies[0].first_t = 0;
  log.Add(episode);
  EXPECT_EQ(log.TakeTraining(1000).size(), 1u);
  EXPECT_EQ(log.training_return(), 1) << "its return counts all the same";
}

TEST(EpisodeLogTest, AnEpisodeCutShortByAFailureTellsNothing) {
  EpisodeLog log;
  Episode episode = TrainingEpisode(-1000);
  episode.policy_version = 1;
  log.Add(episode);
  Episode failed = episode;
  failed.episode_return = -3;  // of a step or two
  for (const char* failure : {"crashed", "not_finite", "writer_restarted"}) {
    failed.failure = failure;
    log.Add(failed);
  }
  EXPECT_EQ(log.TakeTraining(1000).size(), 1u);
  EXPECT_EQ(log.training_return(), -1000);
  EXPECT_NEAR(log.return_scale(), 100, 1e-9) << "nearly 0 would be the best return for good";
}

TEST(EpisodeLogTest, AnEvaluationIsWholeWithoutItsEpisodesThatFailed) {
  EpisodeLog log;
  Episode failed = EvaluationEpisode(7, 3, 1, 50);
  failed.failure = "hung";
  log.Add(EvaluationEpisode(7, 3, 10, 50));
  log.Add(failed);
  EXPECT_TRUE(log.TakeEvaluations().empty());
  log.Add(EvaluationEpisode(7, 3, 20, 50));
  const std::vector<Evaluation> evaluations = log.TakeEvaluations();
  ASSERT_EQ(evaluations.size(), 1u);
  EXPECT_EQ(evaluations[0].size(), 2u);
  EXPECT_NEAR(log.evaluation_return(), 15, 1e-9);
  failed.evaluation_id = 8;
  for (int i = 0; i < 3; ++i) log.Add(failed);
  EXPECT_TRUE(log.TakeEvaluations().empty()) << "nothing is left of it";
  EXPECT_NEAR(log.evaluation_return(), 15, 1e-9);
}

TEST(EpisodeLogTest, ReturnsThatAreNotFiniteAreLeftOut) {
  EpisodeLog log;
  log.Add(TrainingEpisode(10));
  log.Add(TrainingEpisode(std::numeric_limits<double>::quiet_NaN()));
  log.Add(EvaluationEpisode(1, 1, std::numeric_limits<double>::infinity(), 0));
  EXPECT_EQ(log.training_return(), 10);
  EXPECT_TRUE(std::isnan(log.evaluation_return()));
  EXPECT_TRUE(log.TakeEvaluations().empty());
}

TEST(EpisodeLogTest, TheScaleGoesOnOverARestart) {
  std::vector<Episode> episodes;
  for (int i = 0; i < 40; ++i) {
    const double episode_return = i * i % 23 + (i == 25 ? 300 : 3 * i);
    episodes.push_back(i % 7 == 6 ? EvaluationEpisode(i, 1, episode_return, 0)
                                  : TrainingEpisode(episode_return));
    episodes.back().env_steps = 100 * i;
  }
  EpisodeLog whole;
  for (const Episode& episode : episodes) whole.Add(episode);
  EpisodeLog before;
  for (int i = 0; i < 30; ++i) before.Add(episodes[i]);
  EpisodeLog after;
  after.Restore(before.memory());
  EpisodeLog anew;
  for (int i = 24; i < 40; ++i) {  // those that are still held, and new ones
    after.Add(episodes[i]);
    anew.Add(episodes[i]);
  }
  EXPECT_EQ(after.return_scale(), whole.return_scale());
  EXPECT_NE(anew.return_scale(), whole.return_scale());
  EXPECT_EQ(after.memory().through_env_steps, 3900);
}

TEST(EpisodeLogTest, AConstantRewardStillHasAScale) {
  EpisodeLog log;
  for (int i = 0; i < 20; ++i) log.Add(TrainingEpisode(50));
  EXPECT_NEAR(log.return_scale(), 5, 1e-9);  // a tenth of the first mean
}

TEST(EpisodeLogTest, EvaluationsCutShortAreForgotten) {
  EpisodeLog log;
  for (uint64_t id = 1; id <= 100; ++id) log.Add(EvaluationEpisode(id, 2, 1, 0));
  log.Add(EvaluationEpisode(1, 2, 1, 0));
  EXPECT_TRUE(log.TakeEvaluations().empty());
}

}  // namespace
}  // namespace tandem::monitor
