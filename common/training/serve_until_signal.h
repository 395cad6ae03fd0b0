#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/rpc/server_runner.h"

namespace tandem::training {

/// The outer life of a trainer's process: serves `server`, runs `run` in a thread until it is told
/// to end by SIGINT or SIGTERM (then calls `stop`, which makes `run` return soon) or ends by itself
/// with an error, drains the server, and returns what `run` returned. Healthy from the first.
/// Blocks all the while.
absl::Status ServeUntilSignal(const rpc::ServerOptions& server, absl::Duration drain,
                              const std::function<absl::Status()>& run,
                              const std::function<void()>& stop);

/// Sets the health of the server, from any thread; without effect once it drains.
using SetServing = std::function<void(bool serving)>;

/// The same for work that has to get ready, or may be unhealthy now and then: it is not healthy
/// until it says so. `stop` may come at any time, also before `run` has begun.
absl::Status ServeUntilSignal(const rpc::ServerOptions& server, absl::Duration drain,
                              const std::function<absl::Status(const SetServing&)>& run,
                              const std::function<void()>& stop);

}  // namespace tandem::training
