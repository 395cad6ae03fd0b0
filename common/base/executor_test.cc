#include "common/base/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace tandem {
namespace {

TEST(Executor, RunsWhatIsQueuedBeforeItStops) {
  std::atomic<int> done{0};
  {
    Executor executor(/*threads=*/3, /*max_queue=*/1000);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(executor.Submit([&done] { ++done; }));
  }
  EXPECT_EQ(done, 1000);
}

TEST(Executor, RefusesWhenTheQueueIsFullAndTakesTasksAgainLater) {
  Executor executor(/*threads=*/1, /*max_queue=*/2);
  std::promise<void> started, release;
  ASSERT_TRUE(executor.Submit([&] {
    started.set_value();
    release.get_future().wait();
  }));
  started.get_future().wait();
  EXPECT_TRUE(executor.Submit([] {}));
  EXPECT_TRUE(executor.Submit([] {}));
  bool ran = false;
  EXPECT_FALSE(executor.Submit([&ran] { ran = true; }));
  release.set_value();
  executor.Stop();
  EXPECT_FALSE(ran);
}

TEST(Executor, RefusesAfterStopAndStopsTwice) {
  Executor executor(1, 1);
  executor.Stop();
  executor.Stop();
  EXPECT_FALSE(executor.Submit([] {}));
}

TEST(Executor, UsesEveryThread) {
  Executor executor(/*threads=*/2, /*max_queue=*/2);
  std::promise<void> first, second;  // each task waits for the other: one thread would hang
  std::atomic<int> met{0};
  ASSERT_TRUE(executor.Submit([&] {
    first.set_value();
    second.get_future().wait();
    ++met;
  }));
  ASSERT_TRUE(executor.Submit([&] {
    second.set_value();
    first.get_future().wait();
    ++met;
  }));
  executor.Stop();
  EXPECT_EQ(met, 2);
}

}  // namespace
}  // namespace tandem
