#include "services/monitor/core/episode_log.h"

#include <cmath>

#include <gtest/gtest.h>

#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using testing::EvaluationEpisode;
using testing::TrainingEpisode;

TEST(EpisodeLogTest, KnowsNothingAtFirst) {
  const EpisodeLog log;
  EXPECT_TRUE(std::isnan(log.training_return()));
  EXPECT_TRUE(std::isnan(log.evaluation_return()));
  EXPECT_TRUE(std::isnan(log.return_scale()));
  EXPECT_EQ(log.newest().number, 0u);
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
  EXPECT_EQ(log.newest().number, 1u);
  EXPECT_TRUE(log.newest().evaluation);
  EXPECT_EQ(log.newest().returns.size(), 3u);
  EXPECT_EQ(log.newest().start_states.size(), 3u);
  EXPECT_EQ(log.newest().policy_updates, 50);
}

TEST(EpisodeLogTest, TrainingEpisodesAreComparedUntilThereIsAnEvaluation) {
  EpisodeLog log;
  for (int i = 0; i < 10; ++i) log.Add(TrainingEpisode(1));  // random actions
  EXPECT_EQ(log.newest().number, 0u);
  Episode episode = TrainingEpisode(1);
  episode.policy_version = 3;
  for (int i = 0; i < EpisodeLog::kTrainingGroup; ++i) log.Add(episode);
  EXPECT_EQ(log.newest().number, 1u);
  EXPECT_FALSE(log.newest().evaluation);
  log.Add(EvaluationEpisode(1, 1, 5, 50));
  for (int i = 0; i < EpisodeLog::kTrainingGroup; ++i) log.Add(episode);
  EXPECT_EQ(log.newest().number, 2u);
  EXPECT_TRUE(log.newest().evaluation);
}

TEST(EpisodeLogTest, EvaluationsCutShortAreForgotten) {
  EpisodeLog log;
  for (uint64_t id = 1; id <= 100; ++id) log.Add(EvaluationEpisode(id, 2, 1, 0));
  log.Add(EvaluationEpisode(1, 2, 1, 0));
  EXPECT_EQ(log.newest().number, 0u);
}

}  // namespace
}  // namespace tandem::monitor
