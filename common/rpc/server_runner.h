#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/metrics/registry.h"
#include "common/rpc/limits.h"
#include "common/rpc/live_calls.h"

namespace tandem::rpc {

struct ServerOptions {
  std::string role;             ///< Such as "replay_buffer"; names the process in messages.
  std::string address;          ///< "unix:/path", or "host:port" with port 0 for a free one.
  std::string metrics_address;  ///< "host:port"; empty: no /metrics page.
  std::string state_dir;  ///< Gets endpoints.json with the bound addresses; empty: not written.
  std::vector<grpc::Service*> services;   ///< Not owned; outlive the runner.
  std::vector<LiveCalls*> live_calls;     ///< Not owned; outlive the runner.
  metrics::Registry* registry = nullptr;  ///< Not owned; outlives the runner.
  /// What else endpoints.json says, such as {"dashboard", "127.0.0.1:4713"}.
  std::vector<std::pair<std::string, std::string>> more_endpoints;
  int max_message_bytes = kMaxMessageBytes;
};

/// Blocks SIGINT and SIGTERM in this thread and those it starts, and ignores SIGPIPE. Call first in
/// main().
void BlockSignals();

/// Makes WaitForSignal() return as if SIGTERM had come: for a service whose work is done, or has
/// failed. Never counts as a second signal. Thread-safe.
void RequestShutdown();

/// Runs a process's gRPC server with health (NOT_SERVING until SetServing), reflection,
/// MemberService and its /metrics page. While it runs, state_dir/endpoints.json tells where:
///   {"address": "127.0.0.1:4711", "metrics": "127.0.0.1:4712", "pid": 42}
/// Use from one thread; the destructor drains without grace where nobody has.
class ServerRunner {
 public:
  /// UNAVAILABLE, naming the address, where it cannot be bound; the socket file of a server that
  /// has died is replaced, that of a living one is not. INVALID_ARGUMENT for what is no address.
  /// The error of the disk where endpoints.json cannot be written.
  static absl::StatusOr<std::unique_ptr<ServerRunner>> Start(ServerOptions options);
  virtual ~ServerRunner() = default;

  /// Health of the whole server.
  virtual void SetServing(bool serving) = 0;
  /// The addresses bound, with real ports.
  virtual std::string address() const = 0;
  virtual std::string metrics_address() const = 0;

  /// Blocks until SIGINT or SIGTERM, or RequestShutdown(). Needs BlockSignals(). A second signal
  /// during the drain exits at once with 130.
  virtual void WaitForSignal() = 0;
  /// NOT_SERVING, cancels live calls, lets the others finish until `grace` has passed, and stops
  /// the server. A watchdog ends the process with 3 when even that hangs.
  virtual void Drain(absl::Duration grace) = 0;
};

}  // namespace tandem::rpc
