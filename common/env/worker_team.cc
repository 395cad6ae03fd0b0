#include "common/env/worker_team.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tandem {
namespace {

// Longer than the pause between two steps of a small policy, shorter than what a sleeper's wake
// would cost twice.
constexpr std::chrono::microseconds kSpin(50);
constexpr int kLooksBetweenTimes = 32;

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looks for `found` for kSpin.
template <typename Found>
bool Spin(const Found& found) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kLooksBetweenTimes; ++i) {
      if (found()) return true;
      Relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return found();
}

}  // namespace

WorkerTeam::WorkerTeam(int threads, int items, std::function<void(int, int)> body)
    : items_(items),
      chunk_(std::max(1, items / (8 * threads))),
      body_(std::move(body)),
      next_(items),
      done_(items) {
  for (int i = 1; i < std::min(threads, items); ++i) {
    workers_.emplace_back([this] { Work(); });
  }
}

WorkerTeam::~WorkerTeam() {
  {
    MutexLock lock(mu_);
    ended_ = true;
    run_.fetch_add(1, std::memory_order_release);
  }
  run_changed_.NotifyAll();
  for (std::thread& worker : workers_) worker.join();
}

void WorkerTeam::Run() {
  done_.store(0, std::memory_order_relaxed);
  next_.store(0, std::memory_order_release);
  run_.fetch_add(1, std::memory_order_release);
  bool wake = false;
  {
    MutexLock lock(mu_);
    wake = sleepers_ > 0;
  }
  if (wake) run_changed_.NotifyAll();
  TakeItems();
  AwaitItems();
}

void WorkerTeam::TakeItems() {
  for (;;) {
    const int begin = next_.fetch_add(chunk_, std::memory_order_acq_rel);
    if (begin >= items_) return;
    const int end = std::min(items_, begin + chunk_);
    body_(begin, end);
    const int before = done_.fetch_add(end - begin, std::memory_order_acq_rel);
    if (before + (end - begin) < items_) continue;
    MutexLock lock(mu_);
    if (caller_sleeps_) all_done_.NotifyOne();
  }
}

void WorkerTeam::AwaitItems() {
  const auto done = [this] { return done_.load(std::memory_order_acquire) == items_; };
  if (Spin(done)) return;
  MutexLock lock(mu_);
  caller_sleeps_ = true;
  while (!done()) all_done_.Wait(mu_);
  caller_sleeps_ = false;
}

bool WorkerTeam::AwaitRun(uint32_t* seen) {
  const auto begun = [this, seen] { return run_.load(std::memory_order_acquire) != *seen; };
  if (!Spin(begun)) {
    MutexLock lock(mu_);
    ++sleepers_;
    while (!begun()) run_changed_.Wait(mu_);
    --sleepers_;
  }
  *seen = run_.load(std::memory_order_acquire);
  return !ended_;
}

void WorkerTeam::Work() {
  uint32_t seen = 0;
  while (AwaitRun(&seen)) TakeItems();
}

}  // namespace tandem
