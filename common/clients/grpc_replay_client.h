#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/clients/replay_client.h"

namespace tandem::clients {

/// How long the gRPC replay client waits for a server that is connected and does not answer.
struct CallTimeouts {
  absl::Duration open_writer = absl::Seconds(5);
  absl::Duration append = absl::Seconds(5);
  absl::Duration status = absl::Seconds(2);
  absl::Duration advance_margin = absl::Seconds(2);  ///< On top of what Advance is asked to wait.
  absl::Duration stream = absl::Seconds(5);  ///< Until a stream is accepted, and for each message.
};

/// ConnectReplay with timeouts other than the usual ones.
std::unique_ptr<ReplayClient> ConnectReplay(const std::string& address,
                                            const CallTimeouts& timeouts);

}  // namespace tandem::clients
