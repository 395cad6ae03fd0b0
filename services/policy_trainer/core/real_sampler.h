#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/clients/replay_client.h"
#include "common/data/batch.h"
#include "common/data/spec.h"

namespace tandem::policy_trainer {

/// Draws real rows from the replay buffer: each draw is a pure function of its seed and bound, so
/// that a run repeated, or gone on with after a restart, gets the same rows.
///
/// Not thread-safe. The client, the signal and the clock outlive it.
class RealSampler {
 public:
  RealSampler(ReplayClient& replay, const EnvironmentSpec& spec, StopSignal& stop, Clock& clock);

  /// `rows` (1 to 1,000,000) transitions, or only observations for kStartStates, uniform among the
  /// training steps below `through_index`. Blocks, trying again for up to 10 s where the peer is
  /// away. CANCELLED once stopped; INVALID_ARGUMENT where the peer sends another shape.
  absl::StatusOr<TransitionBatch> Sample(SampleKind kind, int64_t rows, uint64_t seed,
                                         int64_t through_index);

 private:
  absl::StatusOr<TransitionBatch> TryOnce(const SampleSpec& spec, int64_t through_index);
  absl::Status Check(const TransitionBatch& batch, const SampleSpec& spec) const;

  ReplayClient& replay_;
  const int64_t obs_dim_;
  const int64_t action_dim_;
  StopSignal& stop_;
  Clock& clock_;
};

}  // namespace tandem::policy_trainer
