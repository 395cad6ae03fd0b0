#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace tandem {

/// Threads that share the items of one loop with their caller, again and again, for loops of
/// microseconds: whoever is free takes the next few items, a thread without work looks for more for
/// some tens of microseconds and sleeps then. Allocates nothing once made. Run() from one thread at
/// a time.
class WorkerTeam {
 public:
  /// `body` does the items [begin, end), on any of the threads. threads >= 1, the caller's among
  /// them; items >= 1.
  WorkerTeam(int threads, int items, std::function<void(int begin, int end)> body);
  ~WorkerTeam();
  WorkerTeam(const WorkerTeam&) = delete;
  WorkerTeam& operator=(const WorkerTeam&) = delete;

  /// Blocks until all items are done. What was written before is seen by `body`, and what that
  /// writes is seen after.
  void Run();

 private:
  void Work();
  /// Takes items until none is left.
  void TakeItems();
  /// Blocks until a run begins that is not `*seen`; false at the end of the team.
  bool AwaitRun(uint32_t* seen);
  void AwaitItems();

  const int items_;
  const int chunk_;  // items taken at a time
  const std::function<void(int, int)> body_;

  // A thread that is late for a run takes part in the next one instead, so a run waits for its
  // items and not for threads: next_ is set last, and carries all that was written before.
  alignas(64) std::atomic<int> next_;  // item to be taken
  alignas(64) std::atomic<int> done_;  // items done
  alignas(64) std::atomic<uint32_t> run_{0};

  Mutex mu_;
  CondVar run_changed_;
  CondVar all_done_;
  int sleepers_ ABSL_GUARDED_BY(mu_) = 0;
  bool caller_sleeps_ ABSL_GUARDED_BY(mu_) = false;
  std::atomic<bool> ended_{false};  // written under mu_
  std::vector<std::thread> workers_;
};

}  // namespace tandem
