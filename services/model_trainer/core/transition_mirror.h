#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/clients/replay_client.h"
#include "common/data/batch.h"
#include "common/data/spec.h"

namespace tandem::model_trainer {

/// A copy of one split of the replay buffer, kept up to date by fetching only what is new: a fit
/// reads all of its data many times, so it must be here. Holds the columns that a fit reads, and
/// indices.
///
/// Not thread-safe. The client, the signal and the clock outlive it.
class TransitionMirror {
 public:
  /// capacity [steps]: of the replay buffer; rows that it has certainly evicted are dropped here,
  /// too.
  TransitionMirror(ReplayClient& replay, const EnvironmentSpec& spec, Split split, int64_t capacity,
                   StopSignal& stop, Clock& clock);

  /// Fetches all rows of the split with an index below `through_index` that are not here yet.
  /// Blocks; a broken stream is opened again from where it broke. CANCELLED once stopped;
  /// INVALID_ARGUMENT where the peer sends rows of another shape, or out of order.
  absl::Status Update(int64_t through_index);

  /// Forgets everything: for a replay buffer that came back without its steps.
  void Clear();

  /// Rows in index order, all below next_index().
  const TransitionBatch& rows() const { return rows_; }
  /// All rows of the split below it are here, but for those that were evicted.
  int64_t next_index() const { return next_index_; }

 private:
  /// One stream, to its end. OK: everything below `through_index` is here.
  absl::Status Fetch(int64_t through_index);
  absl::Status Take(TailChunk& chunk);
  void DropEvicted();

  ReplayClient& replay_;
  const int64_t obs_dim_;
  const int64_t action_dim_;
  const Split split_;
  const int64_t capacity_;
  StopSignal& stop_;
  Clock& clock_;
  TransitionBatch rows_;
  int64_t next_index_ = 0;
};

}  // namespace tandem::model_trainer
