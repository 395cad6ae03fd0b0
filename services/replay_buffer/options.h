#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/server_runner.h"
#include "services/replay_buffer/core/replay_buffer.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem {

/// Everything that the replay buffer's process takes from the run's config.
struct ReplayOptions {
  std::string member;  ///< Name in the log.
  ReplayBuffer::Options buffer;
  rpc::ServerOptions server;  ///< Without services and registry.
  absl::Duration drain = absl::Seconds(4);
  int threads = 2;          ///< That decode, store and cut batches.
  size_t max_queue = 1024;  ///< [requests] waiting for them; more are RESOURCE_EXHAUSTED.
};

/// From a resolved config. Counts the start of the process in state_dir/epoch where there is a
/// state folder: the disk's error where that fails.
absl::StatusOr<ReplayOptions> ReplayOptionsFrom(const config::v1::RunConfig& config);

}  // namespace tandem
