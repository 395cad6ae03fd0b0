#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/clients/replay_client.h"
#include "common/training/peer_wait.h"
#include "services/actor/core/actor_metrics.h"
#include "services/actor/core/episode_recorder.h"

namespace tandem::actor {

/// The actor's line to the replay buffer: one epoch, sequence numbers without a gap, each append
/// repeated until it is acknowledged, so that every step is stored exactly once.
///
/// Waits for an absent buffer for ever, with a line in the log every few seconds. Every method
/// blocks, and returns CANCELLED soon after the stop signal. Not thread-safe.
class Writer {
 public:
  /// name: the writer's; peer: the buffer's address, for the log. The references outlive this.
  Writer(ReplayClient& client, std::string name, std::string peer, EnvironmentSpec spec,
         Clock& clock, StopSignal& stop, ActorMetrics& metrics);

  /// Starts an epoch. FAILED_PRECONDITION when the buffer holds steps of another environment.
  absl::Status Open();

  /// Stores a recording, in several appends of at most 512 KiB where it is large. ABORTED when the
  /// buffer no longer knows this epoch: a new one is open then, and what was recorded in the old
  /// one is lost. Any other error is for good.
  absl::Status Append(Recording recording);

  /// Asks what the actor may do, waiting up to `wait`. ABORTED as above.
  absl::StatusOr<Grant> Advance(const Progress& progress, absl::Duration wait);

 private:
  absl::Status AppendOnce(const Recording& recording);
  /// Repeats a call until it succeeds or fails for good.
  absl::Status Retry(const std::function<absl::Status()>& call);
  absl::Status Reopen(const absl::Status& why, int64_t dropped);

  ReplayClient& client_;
  const std::string name_;
  const std::string peer_;
  const EnvironmentSpec spec_;
  StopSignal& stop_;
  ActorMetrics& metrics_;
  training::PeerWait wait_;
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;  // of the last append acknowledged
};

}  // namespace tandem::actor
