#pragma once

namespace tandem::rpc {

/// Sets up what gRPC keeps in global variables: health and reflection for every server, a log that
/// writes its warnings among ours (GRPC_VERBOSITY in the environment brings its own back), and a
/// look at idle connections each 0.1 s, so that a peer that comes up is found soon
/// (GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS in the environment goes before that). Keeps the
/// library alive until the process ends: its shutdown can wait ten seconds for one of its threads
/// that polls. Connect() and ServerRunner::Start() call it. Thread-safe; cheap the
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
