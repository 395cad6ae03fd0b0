#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/time/time.h"

namespace tandem::rpc {

/// Bounds one step of a call that as a whole has no deadline, such as the first answer on a stream:
/// cancels the call unless the timer is destroyed in time.
///
///   {
///     CallTimer timer(&context, absl::Seconds(5));
///     reader->WaitForInitialMetadata();
///     late = timer.fired();
///   }
///
/// Never blocks, costs no thread. Thread-safe. The context outlives it.
class CallTimer {
 public:
  CallTimer(grpc::ClientContext* context, absl::Duration timeout);
  ~CallTimer();
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;

  /// Whether the call was cancelled because the time was up.
  bool fired() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;  ///< The alarm's callback may come after the destructor.
  grpc::Alarm alarm_;
};

/// Waits until the server has accepted a stream, which each of ours does by its initial metadata
/// before it has anything to send; false where it has not within `timeout`, and the call is
/// cancelled then. Blocks.
template <typename Stream>
bool WaitUntilAccepted(grpc::ClientContext* context, Stream& stream, absl::Duration timeout) {
  const CallTimer timer(context, timeout);
  stream.WaitForInitialMetadata();
  return !timer.fired();
}

}  // namespace tandem::rpc
