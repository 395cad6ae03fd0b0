#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "common/data/batch.h"

namespace tandem {

/// The newest finished episodes in the order they ended; each has an ordinal, counted from 0. Not
/// thread-safe.
class EpisodeLog {
 public:
  /// capacity [episodes] >= 1.
  explicit EpisodeLog(size_t capacity) : capacity_(capacity) {}

  void Add(Episode episode) {
    if (episodes_.size() == capacity_) episodes_.pop_front();
    episodes_.push_back(std::move(episode));
    ++end_;
  }
  /// Ordinal of the next episode.
  int64_t end() const { return end_; }
  /// Ordinal of the oldest one kept.
  int64_t begin() const { return end_ - static_cast<int64_t>(episodes_.size()); }
  /// At most `max` episodes from ordinal `from` on; those no longer kept are skipped.
  std::vector<Episode> Read(int64_t from, int64_t max) const {
    const int64_t first = std::max(from, begin()) - begin();
    const auto held = static_cast<int64_t>(episodes_.size());
    if (first >= held || max <= 0) return {};
    const int64_t last = first + std::min(max, held - first);
    return {episodes_.begin() + first, episodes_.begin() + last};
  }

 private:
  const size_t capacity_;
  std::deque<Episode> episodes_;
  int64_t end_ = 0;
};

}  // namespace tandem
