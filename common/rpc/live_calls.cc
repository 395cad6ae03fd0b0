#include "common/rpc/live_calls.h"

namespace tandem::rpc {

bool LiveCallSet::Add(LiveCall* call) {
  MutexLock lock(mu_);
  if (closed_) return false;
  calls_.insert(call);
  return true;
}

void LiveCallSet::Remove(LiveCall* call) {
  MutexLock lock(mu_);
  calls_.erase(call);
}

void LiveCallSet::CancelAll() {
  MutexLock lock(mu_);
  closed_ = true;
  for (LiveCall* call : calls_) call->Cancel();
}

}  // namespace tandem::rpc
