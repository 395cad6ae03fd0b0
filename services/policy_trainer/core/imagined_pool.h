#pragma once

#include <cstdint>
#include <vector>

#include "common/base/rng.h"
#include "common/data/batch.h"

namespace tandem::policy_trainer {

/// Imagined transitions, as columns. Kept in generations, one for each refit of the model; a new
/// one takes the place and the memory of the oldest. Never leaves the process.
///
/// Not thread-safe.
class ImaginedPool {
 public:
  /// obs_dim, action_dim, generations >= 1.
  ImaginedPool(int64_t obs_dim, int64_t action_dim, int generations);

  /// Forgets the oldest generation and returns its empty columns (observations, actions, rewards,
  /// next_observations, terminated) to be filled, with room for `expected_rows`. They count from
  /// Commit() on; without it the generation stays empty.
  TransitionBatch& Begin(int64_t expected_rows);
  void Commit();
  /// Forgets everything, but keeps the memory.
  void Clear();

  /// Rows of all generations.
  int64_t rows() const { return rows_; }

  /// Copies `count` rows, uniform with replacement, into the rows [at, at + count) of `out`, whose
  /// columns are large enough. rows() >= 1.
  void Sample(Rng& rng, int64_t count, int64_t at, TransitionBatch* out) const;

 private:
  struct Generation {
    TransitionBatch columns;
    int64_t rows = 0;  // that count
  };

  const int64_t obs_dim_;
  const int64_t action_dim_;
  std::vector<Generation> generations_;
  size_t filling_;  // the one that Begin() returned last
  int64_t rows_ = 0;
};

/// Copies the rows [first, first + count) of the five columns that an update reads to [at, at +
/// count) of `to`, whose columns are large enough.
void CopyRows(const TransitionBatch& from, int64_t first, int64_t count, int64_t at,
              TransitionBatch* to);

/// A batch of `rows` rows with those five columns, zero.
TransitionBatch MakeRows(int64_t obs_dim, int64_t action_dim, int64_t rows);

}  // namespace tandem::policy_trainer
