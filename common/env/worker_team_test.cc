#include "common/env/worker_team.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

namespace tandem {
namespace {

// Runs in a row, some after a pause in which the workers fall asleep.
TEST(WorkerTeam, DoesEachItemOnceInEachRun) {
  for (const int threads : {1, 2, 3, 8}) {
    for (const int items : {1, 2, 7, 64, 1000}) {
      std::vector<int> counts(static_cast<size_t>(items));
      WorkerTeam team(threads, items, [&](int begin, int end) {
        for (int i = begin; i < end; ++i) ++counts[static_cast<size_t>(i)];
      });
      for (int run = 1; run <= 100; ++run) {
        if (run % 25 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        team.Run();
        ASSERT_EQ(std::count(counts.begin(), counts.end(), run), items)
            << threads << " threads, run " << run;
      }
    }
  }
}

TEST(WorkerTeam, AThreadThatIsBusyKeepsNobodyElseBusy) {
  std::atomic<int> others{0};
  WorkerTeam team(2, 16, [&](int begin, int end) {
    if (begin > 0) others += end - begin;
    // The thread that got the first item waits for the other one to do all the rest.
    while (begin == 0 && others < 15) std::this_thread::yield();
  });
  for (int run = 0; run < 20; ++run) {
    others = 0;
    team.Run();
    EXPECT_EQ(others, 15);
  }
}

TEST(WorkerTeam, IdleThreadsSleep) {
  WorkerTeam team(3, 3, [](int, int) {});
  team.Run();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 50) << "processor time of the process";
}

}  // namespace
}  // namespace tandem
