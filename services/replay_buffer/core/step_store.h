#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/data/batch.h"

namespace tandem {

/// Steps as columns in a ring: the newest `capacity` steps by global index, counted from 0 in the
/// order of arrival. Each step links to the next one of its episode, so that a next observation is
/// that step's observation and is stored once; only the last step known of an episode keeps a copy
/// of what follows it, the tail. Memory grows with the steps held, not with the capacity.
///
/// Not thread-safe. Checks nothing: callers pass validated segments and indices that are held.
class StepStore {
 public:
  /// capacity [steps] >= 1; dimensions >= 1.
  StepStore(int64_t capacity, int64_t obs_dim, int64_t action_dim);

  /// Stores a segment as the next steps of an episode, evicting the oldest steps beyond the
  /// capacity. `episode` is its ordinal; `previous` the global index of the episode's step before,
  /// or -1. Returns the global index of the segment's last step.
  int64_t Append(const Segment& segment, int64_t episode, Split split, int64_t previous);
  /// The step was the last of its episode after all. Nothing happens if it is evicted.
  void MarkTruncated(int64_t index);

  int64_t obs_dim() const { return obs_dim_; }
  int64_t action_dim() const { return action_dim_; }
  int64_t begin_index() const { return begin_; }
  int64_t end_index() const { return end_; }
  bool Holds(int64_t index) const { return index >= begin_ && index < end_; }
  /// Steps held in a split [steps].
  int64_t held(Split split) const;
  /// Memory of the steps held [bytes], links and indices included.
  int64_t bytes() const;

  /// Steps of a split, in index order, that are held and below `through`: how many there are, and
  /// the global index of the one at `position`. O(log n) and O(1).
  int64_t CountBelow(Split split, int64_t through) const;
  int64_t IndexAt(Split split, int64_t position) const;
  /// Position of the first step of the split with a global index >= index. O(log n).
  int64_t PositionOf(Split split, int64_t index) const { return CountBelow(split, index); }

  /// Columns of one step.
  std::span<const float> observation(int64_t index) const;
  std::span<const float> action(int64_t index) const;
  /// What was observed after the step: of the next step of the episode, or the kept tail.
  std::span<const float> next_observation(int64_t index) const;
  float reward(int64_t index) const { return rewards_[Slot(index)]; }
  bool terminated(int64_t index) const { return (flags_[Slot(index)] & kTerminated) != 0; }
  bool truncated(int64_t index) const { return (flags_[Slot(index)] & kTruncated) != 0; }
  /// Global index of the next step of the same episode; -1 where it ended or has not come yet.
  int64_t next(int64_t index) const { return next_[Slot(index)]; }

  /// Appends one step, every column, to `out`, whose dimensions are set.
  void CopyTo(int64_t index, TransitionBatch* out) const;

 private:
  static constexpr uint8_t kTerminated = 1;
  static constexpr uint8_t kTruncated = 2;

  size_t Slot(int64_t index) const { return static_cast<size_t>(index % capacity_); }
  void Evict();
  void Grow();

  const int64_t capacity_;
  const int64_t obs_dim_;
  const int64_t action_dim_;
  int64_t begin_ = 0;
  int64_t end_ = 0;
  std::vector<float> observations_;
  std::vector<float> actions_;
  std::vector<float> rewards_;
  std::vector<uint8_t> flags_;
  std::vector<uint8_t> splits_;
  std::vector<int64_t> episodes_;
  std::vector<int64_t> times_;
  std::vector<int64_t> policy_versions_;
  std::vector<int64_t> next_;
  std::unordered_map<int64_t, std::vector<float>> tails_;
  std::array<std::deque<int64_t>, 4> by_split_;  ///< Ascending; by value of Split, kAll unused.
};

}  // namespace tandem
