#pragma once

#include <memory>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/stop_signal.h"
#include "common/rpc/call_scope.h"

namespace tandem::clients {

/// For as long as it lives, a StopSignal also stops calls, within 20 ms. Not thread-safe.
class StopRelay {
 public:
  /// stop: not owned; null: nothing is relayed.
  StopRelay(const StopSignal* stop, std::shared_ptr<rpc::CallSet> calls);
  ~StopRelay();
  StopRelay(const StopRelay&) = delete;
  StopRelay& operator=(const StopRelay&) = delete;

 private:
  void Run(const StopSignal& stop);

  const std::shared_ptr<rpc::CallSet> calls_;
  Mutex mu_;
  CondVar changed_;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace tandem::clients
