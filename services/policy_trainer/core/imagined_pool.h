#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
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
  /// next_observations, terminated) to be filled, with room for `expected_rows`. Relabel labels
  /// them already, but they count from Commit() on; without it the next Begin returns them again.
  TransitionBatch& Begin(int64_t expected_rows);
  /// Once for each Begin.
  void Commit();
  /// Forgets everything, but keeps the memory.
  void Clear();

  /// Rows of all generations.
  int64_t rows() const { return rows_; }

  /// Copies `count` rows, uniform with replacement, into the rows [at, at + count) of `out`, whose
  /// columns are large enough. rows() >= 1. log_ratios: empty, or those of the rows go to the same
  /// places; 0 before the first Relabel.
  void Sample(Rng& rng, int64_t count, int64_t at, TransitionBatch* out,
              std::span<float> log_ratios = {}) const;

  /// Lets `label` give a log-ratio to each row, one generation after the other, that which is being
  /// filled included. Ends at the first error, which it returns.
  absl::Status Relabel(const std::function<absl::Status(const TransitionBatch& rows,
                                                        std::span<float> log_ratios)>& label);

 private:
  struct Generation {
    TransitionBatch columns;
    int64_t rows = 0;               // that count
    std::vector<float> log_ratios;  // of the columns' rows; empty: never labelled
  };

  const int64_t obs_dim_;
  const int64_t action_dim_;
  std::vector<Generation> generations_;
  size_t filling_ = 0;  // the one that Begin() returns
  int64_t rows_ = 0;
};

}  // namespace tandem::policy_trainer
