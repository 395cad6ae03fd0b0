#pragma once

#include <functional>

#include "absl/status/status.h"
#include "common/data/batch.h"
#include "common/data/replay_types.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/nn/safetensors.h"

namespace tandem::model_trainer {

/// What is trained beside the model, on the same steps, and goes out in the model's snapshots. Not
/// thread-safe.
class Companion {
 public:
  virtual ~Companion() = default;

  /// Before a fit of the model: gives `learner` what its loss has beside the likelihood. Blocks at
  /// most 5 s.
  virtual absl::Status Prepare(const Grant& grant, dynamics::EnsembleLearner& learner) = 0;

  /// After it, before the model is published. Blocks for its whole computation; `cancelled` is
  /// asked before each gradient step: CANCELLED. Columns as EnsembleLearner::Fit.
  virtual absl::Status Fit(const dynamics::EnsembleLearner& learner, const TransitionBatch& train,
                           const TransitionBatch& holdout,
                           const std::function<bool()>& cancelled) = 0;

  /// Adds to a snapshot of the model that was fitted last.
  virtual void Export(nn::TensorFile* snapshot) const = 0;

  /// All that a restart needs to go on, beside the model's state.
  virtual void Save(nn::TensorFile* state) const = 0;
  virtual absl::Status Load(const nn::TensorFile& state) = 0;
};

}  // namespace tandem::model_trainer
