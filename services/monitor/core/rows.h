#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/data/batch.h"

namespace tandem::monitor {

/// Consecutive steps of one episode: rows [begin, end).
struct Stretch {
  int64_t begin = 0;
  int64_t end = 0;
  bool terminated = false;  ///< The last one ended the episode in a terminal state.
};

/// An empty batch with the dimensions of `like`. Pure.
TransitionBatch EmptyLike(const TransitionBatch& like);

/// The rows by episode, then time: what several environments took side by side is apart. Pure.
TransitionBatch ByEpisode(const TransitionBatch& rows);

/// The stretches of rows in that order; a missing step ends one. Pure.
std::vector<Stretch> FindStretches(const TransitionBatch& rows);

/// At most `most` of the rows: all, or 10 evenly spread runs of rows, in order. Pure.
TransitionBatch Thin(const TransitionBatch& rows, int64_t most);

/// At most `most` of 0 ... count - 1, evenly spread, the first among them. Pure.
std::vector<int64_t> Spread(int64_t count, int64_t most);

/// The values of these rows of a [B, dim] column. Pure.
std::vector<float> Gather(std::span<const float> column, int64_t dim,
                          std::span<const int64_t> rows);

/// [B, obs_dim + action_dim]: observations and actions side by side, of these rows. Pure.
std::vector<float> StatesAndActions(const TransitionBatch& batch, std::span<const int64_t> rows);

}  // namespace tandem::monitor
