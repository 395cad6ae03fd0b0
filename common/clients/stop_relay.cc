#include "common/clients/stop_relay.h"

#include <utility>

#include "common/clients/patience.h"

namespace tandem::clients {

StopRelay::StopRelay(const StopSignal* stop, std::shared_ptr<rpc::CallSet> calls)
    : calls_(std::move(calls)) {
  if (stop == nullptr) return;
  if (stop->stopped()) {
    calls_->Stop();
  } else {
    thread_ = std::thread([this, stop] { Run(*stop); });
  }
}

StopRelay::~StopRelay() {
  {
    MutexLock lock(mu_);
    ending_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void StopRelay::Run(const StopSignal& stop) {
  MutexLock lock(mu_);
  while (!ending_ && !stop.stopped()) changed_.WaitUntil(mu_, After(kStopPoll));
  if (stop.stopped()) calls_->Stop();
}

}  // namespace tandem::clients
