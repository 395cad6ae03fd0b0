#pragma once

#include <atomic>
#include <exception>
#include <thread>

#include "absl/functional/function_ref.h"
#include "common/base/mutex.h"

namespace tandem::nn {

/// A thread that takes one of two pieces of work of some hundred microseconds each, so that they
/// run side by side. It is started once and then waits: actively for about 50 us, for the next
/// piece follows soon, and asleep after that. RunBoth allocates nothing.
///
/// One thread at a time may call RunBoth. The destructor ends the thread.
class SecondThread {
 public:
  SecondThread();
  ~SecondThread();
  SecondThread(const SecondThread&) = delete;
  SecondThread& operator=(const SecondThread&) = delete;

  /// Runs `here` on the calling thread and `there` on the other one; returns when both have ended,
  /// or throws then what one of them threw, that of `here` first. What one writes the other must
  /// not touch.
  void RunBoth(absl::FunctionRef<void()> here, absl::FunctionRef<void()> there);

 private:
  enum class State { kIdle, kWork, kQuit };

  void Loop();
  void Set(State state);
  /// Waits until the state is not `state`, and returns the one that it is.
  State WaitWhile(State state);

  Mutex mu_;  ///< Of `changed_`: held to change the state, not to read it.
  CondVar changed_;
  std::atomic<State> state_{State::kIdle};
  // Written by one thread before a change of the state, read by the other after it.
  const absl::FunctionRef<void()>* work_ = nullptr;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace tandem::nn
