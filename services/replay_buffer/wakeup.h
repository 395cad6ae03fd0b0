#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "common/base/mutex.h"

namespace tandem {

/// Lets a continuation reach an object only while that lives: after the destructor, handles do
/// nothing. Thread-safe; a handle may outlive it. The target must not destroy the Wakeup.
class Wakeup {
 public:
  explicit Wakeup(std::function<void()> target) : state_(std::make_shared<State>()) {
    MutexLock lock(state_->mu);
    state_->target = std::move(target);
  }
  ~Wakeup() {
    MutexLock lock(state_->mu);
    state_->target = nullptr;
  }
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  /// Calls the target, from any thread.
  std::function<void()> handle() const {
    return [state = state_] {
      MutexLock lock(state->mu);
      if (state->target) state->target();
    };
  }

 private:
  struct State {
    Mutex mu;
    std::function<void()> target ABSL_GUARDED_BY(mu);
  };
  std::shared_ptr<State> state_;
};

}  // namespace tandem
