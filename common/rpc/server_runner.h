#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/metrics/registry.h"

namespace tandem::rpc {

/// A call that goes on for long (a stream): ServerRunner cancels those still alive when it drains, for
/// gRPC's own shutdown waits for ever on a live call.
class LiveCalls {
 public:
  virtual ~LiveCalls() = default;
  /// Ends every live call of the service soon, with UNAVAILABLE. Must not block.
  virtual void CancelAll() = 0;
};

struct ServerOptions {
  std::string role;             ///< Such as "replay_buffer"; names the process in messages.
  std::string address;          ///< "unix:/path", or "host:port" with port 0 for a free one.
  std::string metrics_address;  ///< "host:port"; empty: no /metrics page.
  std::string state_dir;        ///< Gets endpoints.json with the bound addresses; empty: not written.
  std::vector<grpc::Service*> services;   ///< Not owned; outlive the runner.
  std::vector<LiveCalls*> live_calls;     ///< Not owned; outlive the runner.
  metrics::Registry* registry = nullptr;  ///< Not owned; outlives the runner.
  int max_message_bytes = 4 << 20;
};

/// Blocks SIGINT and SIGTERM in this thread and those it starts, and ignores SIGPIPE. Call first in
/// main().
void BlockSignals();

/// Runs a process's gRPC server with health (NOT_SERVING until SetServing), reflection, channelz-free,
/// and its /metrics page.
class ServerRunner {
 public:
  /// UNAVAILABLE, naming the address, where it cannot be bound.
  static absl::StatusOr<std::unique_ptr<ServerRunner>> Start(ServerOptions options);
  virtual ~ServerRunner() = default;

  /// Health of the whole server.
  virtual void SetServing(bool serving) = 0;
  /// The addresses bound, with real ports.
  virtual std::string address() const = 0;
  virtual std::string metrics_address() const = 0;

  /// Blocks until SIGINT or SIGTERM. A second signal during the drain exits at once with 130.
  virtual void WaitForSignal() = 0;
  /// NOT_SERVING, cancels live calls, lets the others finish until `grace` has passed, and stops the
  /// server. A watchdog ends the process with 3 when even that hangs.
  virtual void Drain(absl::Duration grace) = 0;
};

}  // namespace tandem::rpc
