#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clients/replay_client.h"
#include "services/monitor/core/inbox.h"

namespace tandem::monitor {

/// Follows the tail of the replay buffer, all splits and episodes, into an inbox. After an error
/// the next call opens the stream again and goes on where it was; a buffer that lost steps is
/// followed from its new end. One thread at a time. Does not own its client or inbox.
class Ingest {
 public:
  /// backlog [steps]: how far before the end to begin; older steps could not be scored anyway.
  Ingest(ReplayClient* replay, Inbox* inbox, int64_t backlog)
      : replay_(replay), inbox_(inbox), backlog_(backlog) {}

  /// Reads one chunk, waiting at most `timeout` for it. OK where there is none yet.
  /// FAILED_PRECONDITION while no actor has announced its environment; INVALID_ARGUMENT for steps
  /// of another shape.
  absl::Status ReadChunk(absl::Duration timeout);

 private:
  absl::Status Open();

  ReplayClient* const replay_;
  Inbox* const inbox_;
  const int64_t backlog_;
  EnvironmentSpec spec_;
  std::unique_ptr<TailStream> tail_;
  int64_t next_index_ = -1;  // < 0: not begun
  int64_t next_episode_ = 0;
};

}  // namespace tandem::monitor
