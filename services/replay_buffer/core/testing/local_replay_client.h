#pragma once

#include <memory>

#include "common/clients/replay_client.h"
#include "services/replay_buffer/core/replay_buffer.h"

namespace tandem {

/// A ReplayClient for a buffer in the same process: what ConnectReplay gives, without a network.
/// For tests, and for a whole run in one process.
///
/// Thread-safe. The buffer outlives the client and its streams; a stream may outlive the client,
/// and is CANCELLED from the client's Stop() (or destructor) on.
std::unique_ptr<ReplayClient> MakeLocalReplayClient(ReplayBuffer& buffer);

}  // namespace tandem
