#include "services/monitor/core/snapshot_history.h"

#include <cmath>

#include <gtest/gtest.h>

#include "common/snapshot/snapshot_store.h"
#include "services/monitor/core/testing/fakes.h"

namespace tandem::monitor {
namespace {

TEST(ModelHistoryTest, FindsTheNewestModelThatIsOlderThanAStep) {
  snapshot::SnapshotStore store(snapshot::kModelSeries, 1);
  ModelHistory history(&store, testing::LoadFakeModel, /*capacity=*/2);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  EXPECT_FALSE(*history.Poll(spec));
  EXPECT_EQ(history.newest(), nullptr);
  for (int64_t through : {100, 200, 300}) {
    ASSERT_TRUE(store.Publish(testing::ModelFile(through)).ok());
    EXPECT_TRUE(*history.Poll(spec));
    EXPECT_FALSE(*history.Poll(spec));
  }
  EXPECT_EQ(history.refits(), 3);
  EXPECT_EQ(history.FreshFor(300)->through_index, 300);
  EXPECT_EQ(history.FreshFor(299)->through_index, 200);
  EXPECT_EQ(history.FreshFor(199), nullptr);  // the first is held no longer
}

TEST(ModelHistoryTest, CountsRefitsThatItDidNotSee) {
  snapshot::SnapshotStore store(snapshot::kModelSeries, 1);
  ModelHistory history(&store, testing::LoadFakeModel, 2);
  for (int64_t through : {100, 200, 300}) {
    ASSERT_TRUE(store.Publish(testing::ModelFile(through)).ok());
  }
  EXPECT_TRUE(*history.Poll(testing::WorldSpec(10)));
  EXPECT_EQ(history.refits(), 3);
}

TEST(PolicyHistoryTest, FindsTheNearestPolicyAndInterpolatesUpdates) {
  snapshot::SnapshotStore store(snapshot::kPolicySeries, 1);
  PolicyHistory history(&store, testing::LoadFakePolicy, 8);
  EXPECT_TRUE(std::isnan(history.UpdatesAt(1)));
  EXPECT_EQ(history.Nearest(0), nullptr);
  const EnvironmentSpec spec = testing::WorldSpec(10);
  ASSERT_TRUE(store.Publish(testing::PolicyFile(0)).ok());
  ASSERT_TRUE(*history.Poll(spec));
  for (int64_t updates : {10, 20, 90})
    ASSERT_TRUE(store.Publish(testing::PolicyFile(updates)).ok());
  ASSERT_TRUE(*history.Poll(spec));  // version 4; 2 and 3 were not seen
  EXPECT_NEAR(history.UpdatesAt(1), 0, 1e-9);
  EXPECT_NEAR(history.UpdatesAt(2), 30, 1e-9);
  EXPECT_NEAR(history.UpdatesAt(4), 90, 1e-9);
  EXPECT_NEAR(history.UpdatesAt(9), 90, 1e-9);
  EXPECT_EQ(history.Nearest(30)->policy.policy_updates, 0u);
  EXPECT_EQ(history.Nearest(60)->policy.policy_updates, 90u);
}

}  // namespace
}  // namespace tandem::monitor
