#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tandem::rpc {

/// A channel to a peer with keepalive, bounded message size and quick reconnection (0.1 to 2 s). A
/// second call for the same address shares the connection unless `bulk`.
std::shared_ptr<grpc::Channel> Connect(const std::string& address, bool bulk = false);

/// Sets the deadline of a call: every call has one.
void SetDeadline(grpc::ClientContext& context, absl::Duration timeout);

/// Whether to try again: UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED, DEADLINE_EXCEEDED.
bool IsTransient(const absl::Status& status);

/// Pauses between tries: doubles from 0.1 s to 2 s with jitter.
class Backoff {
 public:
  absl::Duration Next();
  void Reset() { tries_ = 0; }

 private:
  int tries_ = 0;
};

}  // namespace tandem::rpc
