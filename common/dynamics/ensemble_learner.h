#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/batch.h"
#include "common/data/spec.h"
#include "common/dynamics/dynamics_model.h"
#include "common/dynamics/sample_objective.h"
#include "common/nn/gaussian_ensemble.h"
#include "common/nn/safetensors.h"

namespace tandem::dynamics {

struct EnsembleLearnerOptions {
  int members = 7;
  int elites = 5;
  std::vector<int> hidden = {200, 200, 200, 200};
  nn::AdamOptions adam = {.lr = 1e-3, .weight_decay = 5e-5};
  int batch_size = 256;           ///< [rows] for each member
  int patience_epochs = 5;        ///< A fit stops after so many epochs ...
  int patience_steps = 100;       ///< ... and so many gradient steps without a gain.
  double min_improvement = 0.01;  ///< Relative gain in holdout score that counts.
  int max_gradient_steps = 200;
  int first_gradient_steps = 0;  ///< The same for the first fit; 0: no other.
  TerminationKind termination = TerminationKind::kKnown;
  bool deterministic = false;     ///< A step of the model is its mean; its spread is learned too.
  bool known_reward = false;      ///< It pays what the environment publishes (known_reward.h).
  double observation_margin = 1;  ///< Clip of predictions, in ranges of the data; 0: none.
  std::string device = "cpu";
  uint64_t seed = 0;
};

/// What one fit did. Errors are root mean squared, in units of each target's standard deviation.
struct FitReport {
  int gradient_steps = 0;
  int epochs = 0;
  int64_t train_rows = 0;
  int64_t holdout_rows = 0;
  std::vector<double> member_holdout_losses;  ///< [members] best holdout score of each
  std::vector<int> elites;                    ///< best first
  double train_loss = 0;                      ///< mean over members, last epoch
  double holdout_nll = 0;                     ///< mean over elites [nats a scored dimension]
  double holdout_error = 0;                   ///< of the elites' mean, all scored dimensions
  double holdout_reward_error = 0;            ///< NaN where the reward is known
  double holdout_termination_loss = 0;        ///< binary cross-entropy; 0 unless learned
  double seconds = 0;
};

/// Learns a Gaussian ensemble of (observation, action) -> (change of observation, reward), and
/// termination where that is learned, as MBPO does: warm start, inputs and targets normalised by
/// the statistics of all training data, each member on its own bootstrap, early stop on held-out
/// episodes, the best weights kept for each member, elites by holdout score (each dimension scored
/// apart, so that a noisy reward does not swamp the rest). Without held-out rows the training loss
/// stands in, and the report says so by holdout_rows = 0.
///
/// Knows nothing of RPC. Not thread-safe. Fit blocks for its whole computation.
class EnsembleLearner {
 public:
  /// INVALID_ARGUMENT on options out of range; FAILED_PRECONDITION where termination is kKnown and
  /// the environment publishes no termination function; the same for a known reward.
  static absl::StatusOr<std::unique_ptr<EnsembleLearner>> Create(
      const EnvironmentSpec& spec, const EnsembleLearnerOptions& options);
  virtual ~EnsembleLearner() = default;

  /// Fits to all of `train`, starting from the last fit's weights. `cancelled` is asked before each
  /// gradient step. INVALID_ARGUMENT where `train` has no rows; CANCELLED.
  virtual absl::StatusOr<FitReport> Fit(const TransitionBatch& train,
                                        const TransitionBatch& holdout,
                                        const std::function<bool()>& cancelled) = 0;

  /// The next Fit is a long one: twice the gradient steps, and no early end for want of a gain. A
  /// learner that does not fit leaves it.
  virtual void MakeNextFitLong() {}

  /// A further term of the loss from the next Fit on; null: none. Outlives this or the next call.
  /// UNIMPLEMENTED where nothing is trained.
  virtual absl::Status SetSampleObjective(SampleObjective* /*objective*/) {
    return absl::UnimplementedError("this model is not trained");
  }

  /// Gives one member, 0 to members - 1, fresh weights and zero moments; the count of Adam's steps
  /// is shared and goes on. INVALID_ARGUMENT for another number; UNIMPLEMENTED where there are no
  /// weights.
  virtual absl::Status ResetMember(int /*member*/) {
    return absl::UnimplementedError("this model has no members to reset");
  }

  /// The model as a snapshot: parameters, normalisation, elites, spec, figures of the last fit.
  virtual nn::TensorFile ExportModel() const = 0;

  /// All that a restart needs to go on: the model, Adam's moments, the random streams.
  virtual nn::TensorFile SaveState() const = 0;
  virtual absl::Status LoadState(const nn::TensorFile& state) = 0;
};

}  // namespace tandem::dynamics
