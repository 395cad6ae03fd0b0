#include "common/nn/second_thread.h"

#include <utility>

namespace tandem::nn {
namespace {

constexpr int kSpins = 1000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

SecondThread::SecondThread() : thread_([this] { Loop(); }) {}

SecondThread::~SecondThread() {
  Set(State::kQuit);
  thread_.join();
}

void SecondThread::RunBoth(absl::FunctionRef<void()> here, absl::FunctionRef<void()> there) {
  work_ = &there;
  Set(State::kWork);
  std::exception_ptr failure;
  try {
    here();
  } catch (...) {
    failure = std::current_exception();
  }
  WaitWhile(State::kWork);
  const std::exception_ptr other = std::exchange(failure_, nullptr);
  if (failure == nullptr) failure = other;
  if (failure != nullptr) std::rethrow_exception(failure);
}

void SecondThread::Loop() {
  while (WaitWhile(State::kIdle) == State::kWork) {
    try {
      (*work_)();
    } catch (...) {
      failure_ = std::current_exception();
    }
    Set(State::kIdle);
  }
}

void SecondThread::Set(State state) {
  {
    MutexLock lock(mu_);
    state_.store(state, std::memory_order_release);
  }
  changed_.NotifyOne();
}

SecondThread::State SecondThread::WaitWhile(State state) {
  for (int i = 0; i < kSpins; ++i) {
    const State now = state_.load(std::memory_order_acquire);
    if (now != state) return now;
    Pause();
  }
  MutexLock lock(mu_);
  for (;;) {
    const State now = state_.load(std::memory_order_acquire);
    if (now != state) return now;
    changed_.Wait(mu_);
  }
}

}  // namespace tandem::nn
