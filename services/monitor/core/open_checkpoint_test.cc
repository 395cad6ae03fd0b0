#include "services/monitor/core/open_checkpoint.h"

#include <gtest/gtest.h>

#include "services/monitor/core/rows.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

using testing::WorldSteps;

/// `count` steps from index `first` on.
TransitionBatch Steps(int64_t first, int64_t count) {
  TransitionBatch steps = WorldSteps(count);
  for (int64_t& index : steps.indices) index += first;
  return steps;
}

HeldModel Model(uint64_t version, int64_t through_index) {
  return {.version = {1, version}, .through_index = through_index, .env_steps = through_index};
}

TEST(OpenCheckpointTest, EndsWhereTheNextModelBegins) {
  OpenCheckpoint open(10, 1000, 5000);
  EXPECT_FALSE(open.EndsAt(Model(1, 0), 0).has_value());
  EXPECT_EQ(open.Add(Steps(0, 150)), 0);
  EXPECT_EQ(open.Follow(Model(1, 100), {}, 150), 100);  // 0 to 99 are no news to it
  EXPECT_FALSE(open.EndsAt(Model(1, 100), 150).has_value());
  open.Add(Steps(150, 80));
  EXPECT_FALSE(open.EndsAt(Model(2, 240), 230).has_value());  // 230 to 239 are still to come
  open.Add(Steps(230, 20));
  ASSERT_EQ(open.EndsAt(Model(2, 240), 250), 240);
  const TransitionBatch rows = open.Close(240, Model(2, 240), {});
  EXPECT_EQ(rows.size(), 140);
  EXPECT_EQ(rows.indices.front(), 100);
  EXPECT_EQ(rows.indices.back(), 239);
  EXPECT_EQ(open.size(), 10);
  EXPECT_EQ(open.model().version.version, 2u);
}

TEST(OpenCheckpointTest, AFrozenModelHasCheckpointsTooAndKeepsItsPolicy) {
  OpenCheckpoint open(10, 100, 5000);
  HeldPolicy first;
  first.version = {1, 7};
  open.Follow(Model(1, 0), first, 0);
  open.Add(Steps(0, 120));
  ASSERT_EQ(open.EndsAt(Model(1, 0), 120), 120);
  HeldPolicy later;
  later.version = {1, 8};
  EXPECT_EQ(open.Close(120, Model(1, 0), later).size(), 120);
  EXPECT_EQ(open.at_fit().version.version, 7u);
  EXPECT_FALSE(open.EndsAt(Model(1, 0), 120).has_value());
  EXPECT_EQ(open.Follow(Model(2, 120), later, 120), 0);
  EXPECT_EQ(open.at_fit().version.version, 8u);
}

TEST(OpenCheckpointTest, TooFewStepsWaitForMoreWithTheirModel) {
  OpenCheckpoint open(50, 1000, 5000);
  open.Follow(Model(1, 0), {}, 0);
  open.Add(Steps(0, 20));
  EXPECT_FALSE(open.EndsAt(Model(2, 20), 20).has_value());
  open.Add(Steps(20, 20));
  open.Follow(Model(3, 40), {}, 40);
  EXPECT_EQ(open.model().version.version, 1u);
  open.Add(Steps(40, 20));
  EXPECT_EQ(open.EndsAt(Model(3, 40), 60), 60);
}

TEST(OpenCheckpointTest, IsBoundedAndForgetsWhatTheBufferLost) {
  OpenCheckpoint open(10, 100, 100);
  EXPECT_EQ(open.Add(Steps(0, 150)), 50);
  EXPECT_EQ(open.size(), 100);
  EXPECT_EQ(open.Add(Steps(30, 20)), 100);  // the buffer went back to 30
  EXPECT_EQ(open.size(), 20);
}

TEST(RowsTest, EnvironmentsSideBySideAreTakenApart) {
  TransitionBatch rows = Steps(0, 6);
  rows.episodes = {4, 2, 4, 2, 4, 2};
  rows.times = {0, 5, 1, 6, 3, 7};
  rows.terminated = {0, 0, 0, 1, 0, 0};
  rows = ByEpisode(rows);
  EXPECT_EQ(rows.indices, (std::vector<int64_t>{1, 3, 5, 0, 2, 4}));
  const std::vector<Stretch> stretches = FindStretches(rows);
  ASSERT_EQ(stretches.size(), 4u);  // an end and a missing step part them, too
  EXPECT_EQ(stretches[0].end, 2);
  EXPECT_TRUE(stretches[0].terminated);
  EXPECT_EQ(stretches[2].begin, 3);
  EXPECT_EQ(stretches[2].end, 5);
  EXPECT_FALSE(stretches[2].terminated);
}

TEST(RowsTest, ThinKeepsRunsOfRows) {
  const TransitionBatch thin = Thin(Steps(0, 1000), 200);
  ASSERT_EQ(thin.size(), 200);
  EXPECT_EQ(thin.indices[19], 19);
  EXPECT_EQ(thin.indices[20], 100);
  EXPECT_EQ(Thin(Steps(0, 30), 200).size(), 30);
  EXPECT_EQ(Spread(10, 4), (std::vector<int64_t>{0, 2, 5, 7}));
  EXPECT_TRUE(Spread(0, 4).empty());
}

}  // namespace
}  // namespace tandem::monitor
