#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace tandem {

/// A fixed set of threads behind one bounded queue. gRPC's own threads are few and must never
/// block; every handler that may block or compute runs here instead.
///
/// Thread-safe. Owned by main(); must outlive everything that submits to it.
class Executor {
 public:
  /// threads >= 1; max_queue [tasks] >= 1.
  Executor(int threads, size_t max_queue);
  /// Calls Stop().
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Runs `task` on one of the threads. Never blocks. Returns false, without running the task, when
  /// the queue is full or after Stop().
  [[nodiscard]] bool Submit(std::function<void()> task);

  /// Runs what is queued, then joins the threads. Blocks. Idempotent.
  void Stop();

 private:
  void Work();

  const size_t max_queue_;
  Mutex mu_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tandem
