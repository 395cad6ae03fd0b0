#include "common/rpc/call_timer.h"

#include <chrono>

#include "common/base/mutex.h"

namespace tandem::rpc {

struct CallTimer::State {
  Mutex mu;
  grpc::ClientContext* context ABSL_GUARDED_BY(mu) = nullptr;  // null once the timer is gone
  bool fired ABSL_GUARDED_BY(mu) = false;
};

CallTimer::CallTimer(grpc::ClientContext* context, absl::Duration timeout)
    : state_(std::make_shared<State>()) {
  {
    MutexLock lock(state_->mu);
    state_->context = context;
  }
  alarm_.Set(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout),
             [state = state_](bool expired) {
               MutexLock lock(state->mu);
               if (!expired || state->context == nullptr) return;
               state->fired = true;
               state->context->TryCancel();
             });
}

CallTimer::~CallTimer() {
  MutexLock lock(state_->mu);
  state_->context = nullptr;
}

bool CallTimer::fired() const {
  MutexLock lock(state_->mu);
  return state_->fired;
}

}  // namespace tandem::rpc
