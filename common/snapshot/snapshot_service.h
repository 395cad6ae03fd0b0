#pragma once

#include <memory>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "absl/time/time.h"
#include "common/metrics/registry.h"
#include "common/rpc/server_runner.h"
#include "common/snapshot/snapshot_store.h"

namespace tandem::snapshot {

/// tandem.snapshot.v1.SnapshotService over some stores, which outlive it. Watchers skip to the
/// newest snapshot; the publisher never waits for them. Returns the gRPC service to hand to
/// ServerRunner, and the live calls that it must cancel.
class SnapshotServer {
 public:
  static std::unique_ptr<SnapshotServer> Create(std::vector<SnapshotStore*> stores,
                                                metrics::Registry& registry);
  virtual ~SnapshotServer() = default;
  virtual grpc::Service* service() = 0;
  virtual rpc::LiveCalls* live_calls() = 0;
};

/// Watches one series of a remote publisher from a thread of its own: reconnects for ever, checks
/// the hash and the order of the parts, drops a snapshot that is damaged and counts it.
/// A peer that sends parts that do not fit is logged once per connection, never trusted; one that
/// is connected but does not accept the call within `timeout` is tried again. A publisher in an
/// earlier epoch than what is held has lost its state folder: its snapshots are taken from the
/// first on. stride: its multiples among the versions come even where newer ones exist; 0: none.
/// sparse: nothing else comes by itself; Since() asks for the newest, and blocks for that, at most
/// `timeout` (twice where the publisher began anew). For who needs few of many snapshots.
std::unique_ptr<SnapshotSource> WatchRemote(const std::string& address, const std::string& series,
                                            const std::string& watcher, metrics::Registry& registry,
                                            absl::Duration timeout = absl::Seconds(5),
                                            uint64_t stride = 0, bool sparse = false);

}  // namespace tandem::snapshot
