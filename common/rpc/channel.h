#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/rpc/limits.h"

namespace tandem::rpc {

/// A channel to a peer with keepalive (10 s, answer within 5 s), bounded message size and quick
/// reconnection (0.1 to 2 s). A second call for the same address shares the connection; each `bulk`
/// channel has its own, so that large transfers do not delay small calls. Never blocks or fails: a
/// peer that is absent shows in each call's status, UNAVAILABLE.
std::shared_ptr<grpc::Channel> Connect(const std::string& address, bool bulk = false,
                                       int max_message_bytes = kMaxMessageBytes);

/// Sets the deadline of a call: every call has one.
void SetDeadline(grpc::ClientContext& context, absl::Duration timeout);

/// Pauses between tries: doubles from 0.1 s to `longest`, times a random number in [0.5, 1). Not
/// thread-safe.
class Backoff {
 public:
  explicit Backoff(absl::Duration longest = absl::Seconds(2)) : longest_(longest) {}
  absl::Duration Next();
  void Reset() { tries_ = 0; }

 private:
  const absl::Duration longest_;
  int tries_ = 0;
};

/// Tells of an absent peer in the log, not too often: "waiting for replay_buffer at unix:..., 12 s"
/// after one second and then every five, and one line when it is there again. Not thread-safe.
class PeerLog {
 public:
  /// peer: the role, such as "replay_buffer".
  PeerLog(std::string peer, std::string address)
      : peer_(std::move(peer)), address_(std::move(address)) {}

  /// After each call that failed.
  void Failed(const absl::Status& status);
  /// After each call that worked.
  void Connected();

 private:
  const std::string peer_;
  const std::string address_;
  bool waiting_ = false;
  bool told_ = false;
  absl::Duration since_;
  absl::Duration next_;
};

/// Waits until the channel is connected and tells `log` meanwhile; asks `keep_on` every 50 ms, for
/// nothing from outside ends a wait of gRPC's. False once that says no.
bool AwaitConnection(grpc::Channel& channel, PeerLog& log, const std::function<bool()>& keep_on);

}  // namespace tandem::rpc
