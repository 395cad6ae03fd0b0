#pragma once

namespace tandem::rpc {

/// Sets up what gRPC keeps in global variables: health and reflection for every server, and a log
/// that writes its warnings among ours (GRPC_VERBOSITY in the environment brings its own back).
/// Keeps the library alive until the process ends: its own shutdown can wait ten seconds for a
/// thread of its that polls. Connect() and ServerRunner::Start() call it. Thread-safe; cheap the
/// second time.
void InitGrpc();

/// While one lives, gRPC's log lines are dropped: those about an address that cannot be bound would
/// only repeat our status.
class QuietGrpc {
 public:
  QuietGrpc();
  ~QuietGrpc();
  QuietGrpc(const QuietGrpc&) = delete;
  QuietGrpc& operator=(const QuietGrpc&) = delete;
};

}  // namespace tandem::rpc
