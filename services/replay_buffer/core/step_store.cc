#include "services/replay_buffer/core/step_store.h"
#include "common/data/rows.h"

#include <algorithm>

namespace tandem {
namespace {

template <typename T>
void CopyInto(std::vector<T>& column, size_t slot, std::span<const T> row) {
  std::copy(row.begin(), row.end(),
            column.begin() + static_cast<std::ptrdiff_t>(slot * row.size()));
}

}  // namespace

StepStore::StepStore(int64_t capacity, int64_t obs_dim, int64_t action_dim)
    : capacity_(capacity), obs_dim_(obs_dim), action_dim_(action_dim) {}

void StepStore::Grow() {
  // The ring is full size only when it has been filled once; until then it doubles as a vector
  // does.
  const auto rows = static_cast<size_t>(std::min(end_ + 1, capacity_));
  if (rewards_.size() >= rows) return;
  observations_.resize(rows * static_cast<size_t>(obs_dim_));
  actions_.resize(rows * static_cast<size_t>(action_dim_));
  rewards_.resize(rows);
  flags_.resize(rows);
  splits_.resize(rows);
  episodes_.resize(rows);
  times_.resize(rows);
  policy_versions_.resize(rows);
  next_.resize(rows);
}

void StepStore::Evict() {
  tails_.erase(begin_);
  by_split_[splits_[Slot(begin_)]].pop_front();
  ++begin_;
}

int64_t StepStore::Append(const Segment& segment, int64_t episode, Split split, int64_t previous) {
  const int64_t steps = segment.size();
  for (int64_t i = 0; i < steps; ++i) {
    if (end_ - begin_ == capacity_) Evict();
    Grow();
    const int64_t index = end_++;
    const size_t slot = Slot(index);
    CopyInto(observations_, slot, Row(segment.observations, i, obs_dim_));
    CopyInto(actions_, slot, Row(segment.actions, i, action_dim_));
    rewards_[slot] = segment.rewards[static_cast<size_t>(i)];
    const bool last = i + 1 == steps;
    flags_[slot] = static_cast<uint8_t>((last && segment.terminated ? kTerminated : 0) |
                                        (last && segment.truncated ? kTruncated : 0));
    splits_[slot] = static_cast<uint8_t>(split);
    episodes_[slot] = episode;
    times_[slot] = segment.first_t + i;
    policy_versions_[slot] = static_cast<int64_t>(segment.policy_version);
    next_[slot] = -1;
    by_split_[static_cast<size_t>(split)].push_back(index);
    if (previous >= 0 && Holds(previous)) {
      next_[Slot(previous)] = index;
      tails_.erase(previous);
    }
    previous = index;
  }
  const auto tail = Row(segment.observations, steps, obs_dim_);
  tails_[previous].assign(tail.begin(), tail.end());
  return previous;
}

void StepStore::MarkTruncated(int64_t index) {
  if (Holds(index) && !terminated(index)) flags_[Slot(index)] |= kTruncated;
}

int64_t StepStore::held(Split split) const {
  if (split == Split::kAll) return end_ - begin_;
  return static_cast<int64_t>(by_split_[static_cast<size_t>(split)].size());
}

int64_t StepStore::bytes() const {
  const int64_t row = (obs_dim_ + action_dim_ + 1) * static_cast<int64_t>(sizeof(float)) + 2 +
                      5 * static_cast<int64_t>(sizeof(int64_t));
  const int64_t tail = obs_dim_ * static_cast<int64_t>(sizeof(float)) + 64;
  return row * (end_ - begin_) + tail * static_cast<int64_t>(tails_.size());
}

int64_t StepStore::CountBelow(Split split, int64_t through) const {
  if (split == Split::kAll) return std::clamp(through, begin_, end_) - begin_;
  const auto& indices = by_split_[static_cast<size_t>(split)];
  return std::lower_bound(indices.begin(), indices.end(), through) - indices.begin();
}

int64_t StepStore::IndexAt(Split split, int64_t position) const {
  if (split == Split::kAll) return begin_ + position;
  return by_split_[static_cast<size_t>(split)][static_cast<size_t>(position)];
}

std::span<const float> StepStore::observation(int64_t index) const {
  return Row(observations_, static_cast<int64_t>(Slot(index)), obs_dim_);
}

std::span<const float> StepStore::action(int64_t index) const {
  return Row(actions_, static_cast<int64_t>(Slot(index)), action_dim_);
}

std::span<const float> StepStore::next_observation(int64_t index) const {
  const int64_t next_index = next(index);
  return next_index >= 0 ? observation(next_index) : std::span<const float>(tails_.at(index));
}

void StepStore::CopyTo(int64_t index, TransitionBatch* out) const {
  const size_t slot = Slot(index);
  const auto add = [](std::vector<float>& column, std::span<const float> row) {
    column.insert(column.end(), row.begin(), row.end());
  };
  add(out->observations, observation(index));
  add(out->actions, action(index));
  add(out->next_observations, next_observation(index));
  out->rewards.push_back(rewards_[slot]);
  out->terminated.push_back(terminated(index) ? 1 : 0);
  out->truncated.push_back(truncated(index) ? 1 : 0);
  out->indices.push_back(index);
  out->episodes.push_back(episodes_[slot]);
  out->times.push_back(times_[slot]);
  out->policy_versions.push_back(policy_versions_[slot]);
  out->splits.push_back(splits_[slot]);
}

}  // namespace tandem
