#pragma once

#include <cstdint>
#include <optional>

#include "common/data/batch.h"
#include "services/monitor/core/snapshot_history.h"

namespace tandem::monitor {

/// The checkpoint under way: one model, and the fresh steps that it has not seen. It ends where the
/// next model begins: the steps from that model's watermark on are the next checkpoint's. A model
/// that is not followed by another (a frozen one, or a slow fit) makes a checkpoint of every
/// `most_rows` steps. One with fewer than `least_rows` steps is not worth judging: it goes on with
/// its model into the next one's time. Not thread-safe.
class OpenCheckpoint {
 public:
  /// least_rows, most_rows [steps] >= 1; capacity: steps held, the oldest are dropped first.
  OpenCheckpoint(int64_t least_rows, int64_t most_rows, int64_t capacity)
      : least_rows_(least_rows), most_rows_(most_rows), capacity_(capacity) {}

  /// Adds steps in index order; where they begin below the last ones (a replay buffer that lost
  /// steps) the old ones go. Returns how many were dropped: those, steps that the model has seen
  /// already, and what is beyond the capacity.
  int64_t Add(const TransitionBatch& rows);
  /// Begins, or goes on, with `newest` where all steps below `read_index` were added and none lies
  /// before its watermark. at_fit: the newest policy when it came. Returns how many steps were
  /// dropped, as Add.
  int64_t Follow(const HeldModel& newest, const HeldPolicy& at_fit, int64_t read_index);
  bool begun() const { return model_.has_value(); }
  const HeldModel& model() const { return *model_; }
  const HeldPolicy& at_fit() const { return at_fit_; }
  int64_t size() const { return rows_.size(); }

  /// Index below which the steps of this checkpoint lie, now that `newest` is the newest model and
  /// all steps below `read_index` were added; nullopt while it goes on.
  std::optional<int64_t> EndsAt(const HeldModel& newest, int64_t read_index) const;
  /// Takes its steps, below `through_index`, and goes on with `newest`; at_fit: the newest policy.
  TransitionBatch Close(int64_t through_index, const HeldModel& newest, const HeldPolicy& at_fit);

 private:
  int64_t DropSeen();
  /// Rows below this index.
  int64_t CountBelow(int64_t index) const;

  const int64_t least_rows_;
  const int64_t most_rows_;
  const int64_t capacity_;
  std::optional<HeldModel> model_;
  HeldPolicy at_fit_;
  TransitionBatch rows_;  // in index order
};

}  // namespace tandem::monitor
