#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/data/batch.h"

// Rows of columns, [B, dim] row-major. Nothing here checks that a row is there.
namespace tandem {

/// One row, sharing the column's memory. Pure.
inline std::span<const float> Row(std::span<const float> column, int64_t row, int64_t dim) {
  return column.subspan(static_cast<size_t>(row * dim), static_cast<size_t>(dim));
}

/// Copies these rows to `out`, [rows.size(), dim], which is resized and not the column itself.
void GatherRows(std::span<const float> column, int64_t dim, std::span<const int64_t> rows,
                std::vector<float>* out);

// The five columns of a batch that an update of a policy reads: observations, actions, rewards,
// next observations, terminated.

/// Gives them `rows` rows, zero where they are new; memory is kept.
void ResizeRows(int64_t rows, TransitionBatch* batch);
/// A batch of `rows` rows with those columns, zero.
TransitionBatch MakeRows(int64_t obs_dim, int64_t action_dim, int64_t rows);
/// Copies their rows [first, first + count) to [at, at + count) of `to`, whose columns are large
/// enough.
void CopyRows(const TransitionBatch& from, int64_t first, int64_t count, int64_t at,
              TransitionBatch* to);

}  // namespace tandem
