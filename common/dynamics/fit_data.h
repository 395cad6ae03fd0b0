#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/rng.h"
#include "common/data/batch.h"
#include "common/dynamics/normaliser.h"
#include "common/nn/gaussian_ensemble.h"

namespace tandem::dynamics {

/// Transitions as a network sees them: normalised, one row after another.
struct FitRows {
  int64_t rows = 0;
  int64_t input_dim = 0;
  int64_t output_dim = 0;
  int64_t binary_dim = 0;
  int64_t scored_dim = 0;      ///< Targets that a score counts: the first so many; 0: all.
  std::vector<float> inputs;   ///< [rows, input_dim]
  std::vector<float> targets;  ///< [rows, output_dim]
  std::vector<float> binary;   ///< [rows, binary_dim]
};

/// (observation, action) of each row, [B, obs_dim + action_dim], not normalised.
std::vector<float> RawInputs(const TransitionBatch& batch);
/// (change of observation, reward) of each row, [B, obs_dim + 1], not normalised.
std::vector<float> RawTargets(const TransitionBatch& batch);
/// Normalises `batch`; `learn_termination` adds the termination flags. known_reward: no score
/// counts the reward, and its target alternates between -1 and 1 from row to row. Nothing predicts
/// that, so its output stays at mean 0 and deviation 1 and leaves the layers before it to the
/// dynamics; a rare reward would pull at them with errors of many deviations.
FitRows MakeFitRows(const TransitionBatch& batch, const Normaliser& inputs,
                    const Normaliser& targets, bool learn_termination, bool known_reward);

/// Draws batches for the members of an ensemble: each member has its own bootstrap of the rows, in
/// an order shuffled anew for each epoch. Rows that do not fill a batch sit out their epoch.
class BootstrapBatches {
 public:
  BootstrapBatches(const FitRows& rows, int members, int batch_size, Rng& rng);

  int64_t batches_per_epoch() const { return rows_.rows / batch_; }
  void Shuffle();
  /// Batch `index` of the epoch; spans hold until the next call.
  nn::EnsembleRows Batch(int64_t index);

 private:
  const FitRows& rows_;
  const int members_;
  const int64_t batch_;
  Rng& rng_;
  std::vector<std::vector<int64_t>> order_;  ///< [members][rows]
  std::vector<float> inputs_, targets_, binary_;
};

}  // namespace tandem::dynamics
