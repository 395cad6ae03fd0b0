#pragma once

#include <set>

#include "common/base/mutex.h"

namespace tandem::rpc {

/// The calls of a service that go on for long (streams): ServerRunner cancels those still alive
/// when it drains, for gRPC's own shutdown waits for ever on a live call.
class LiveCalls {
 public:
  virtual ~LiveCalls() = default;
  /// Ends every live call of the service soon, with UNAVAILABLE, and every later one at once. Must
  /// not block.
  virtual void CancelAll() = 0;
};

/// One of them.
class LiveCall {
 public:
  virtual ~LiveCall() = default;
  /// Ends the call soon, with UNAVAILABLE. Called under the set's lock: must not block, and must
  /// not add to or remove from the set.
  virtual void Cancel() = 0;
};

/// Keeps the live calls of a service. Thread-safe. Outlives the gRPC server.
class LiveCallSet : public LiveCalls {
 public:
  /// Returns false, and does not keep `call`, after CancelAll().
  [[nodiscard]] bool Add(LiveCall* call);
  /// Afterwards `call` gets no more Cancel(). Nothing happens where it is not in the set.
  void Remove(LiveCall* call);
  void CancelAll() override;

 private:
  Mutex mu_;
  std::set<LiveCall*> calls_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace tandem::rpc
