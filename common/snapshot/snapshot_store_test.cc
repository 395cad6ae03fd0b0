#include "common/snapshot/snapshot_store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace tandem::snapshot {
namespace {

nn::TensorFile File(float value) {
  nn::TensorFile file;
  file.tensors["w"] = {{2}, {value, value}};
  file.metadata[kThroughIndexKey] = "7";
  return file;
}

TEST(SnapshotStoreTest, HoldsTheNewestAndCountsUp) {
  SnapshotStore store("model", 3);
  EXPECT_EQ(store.Latest(), nullptr);
  for (uint64_t i = 1; i <= 3; ++i) {
    const auto published = store.Publish(File(static_cast<float>(i)));
    ASSERT_TRUE(published.ok()) << published.status();
    EXPECT_EQ((*published)->version, (Version{3, i}));
    EXPECT_EQ(store.Latest(), *published);
  }
  const auto file = store.Latest()->Parse();
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors.at("w").data, (std::vector<float>{3, 3}));
  EXPECT_EQ(file->metadata.at(kThroughIndexKey), "7");
  EXPECT_EQ(store.Latest()->hash, ContentHash(*store.Latest()->bytes));
}

TEST(SnapshotStoreTest, EqualContentsHaveEqualHashes) {
  SnapshotStore a("model", 1), b("model", 9);
  EXPECT_EQ((*a.Publish(File(1)))->hash, (*b.Publish(File(1)))->hash);
  EXPECT_NE((*a.Publish(File(2)))->hash, (*b.Publish(File(1)))->hash);
}

TEST(SnapshotStoreTest, RefusesAFileThatDoesNotFitAndKeepsTheOld) {
  SnapshotStore store("model", 1);
  ASSERT_TRUE(store.Publish(File(1)).ok());
  nn::TensorFile wrong;
  wrong.tensors["w"] = {{3}, {1, 2}};
  EXPECT_FALSE(store.Publish(wrong).ok());
  EXPECT_EQ(store.Latest()->version, (Version{1, 1}));
}

TEST(SnapshotStoreTest, WaitNewerWaitsForANewerOne) {
  SnapshotStore store("policy", 2);
  EXPECT_EQ(store.WaitNewer({}, absl::Milliseconds(10)), nullptr);
  std::thread publisher([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_TRUE(store.Publish(File(1)).ok());
  });
  const auto got = store.WaitNewer({}, absl::InfiniteDuration());
  publisher.join();
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(store.WaitNewer({}, absl::ZeroDuration()), got);
  EXPECT_EQ(store.WaitNewer(got->version, absl::Milliseconds(10)), nullptr);
  EXPECT_EQ(store.WaitNewer({1, 100}, absl::ZeroDuration()), got);  // an earlier epoch
}

TEST(SnapshotStoreTest, StopEndsTheWaits) {
  SnapshotStore store("policy", 1);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    store.Stop();
  });
  EXPECT_EQ(store.WaitNewer({}, absl::InfiniteDuration()), nullptr);
  stopper.join();
}

TEST(SnapshotStoreTest, ListenersHearOfEachPublicationUntilTheyLeave) {
  SnapshotStore store("model", 1);
  int first = 0, second = 0;
  const int id = store.Subscribe([&] { ++first; });
  store.Subscribe([&] { ++second; });
  ASSERT_TRUE(store.Publish(File(1)).ok());
  store.Unsubscribe(id);
  ASSERT_TRUE(store.Publish(File(2)).ok());
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
}

}  // namespace
}  // namespace tandem::snapshot
