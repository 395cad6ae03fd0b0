#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/data/batch.h"
#include "common/data/spec.h"
#include "common/dynamics/dynamics_model.h"
#include "common/dynamics/normaliser.h"
#include "common/nn/binary_classifier.h"
#include "common/nn/safetensors.h"
#include "common/objective/transition_classifier.h"

namespace tandem::objective {

struct ClassifierLearnerOptions {
  std::vector<int> hidden = {64, 64};  ///< >= 1 each
  /// Without weight decay: it pulls the logit to exactly 0, from where the classifier does not
  /// come back.
  nn::AdamOptions adam = {.lr = 2e-3};
  int batch_size = 256;  ///< Pairs (s, a) in a step; each is seen with its real and a modelled s'.
  int first_steps = 3000;  ///< Gradient steps of the first fit ...
  int fit_steps = 300;     ///< ... and of each one after it, from the weights of the last.
  /// Targets are 1 - smoothing for real rows and smoothing for modelled ones. Bounds the logit of
  /// the best classifier by log((1 - smoothing) / smoothing): 2.94 at 0.05. In [0, 0.5).
  double smoothing = 0.05;
  /// Each target is drawn uniformly from those within so much of it, >= 0, at most smoothing: at
  /// 0.05 and 0.05 from [0.9, 1] and [0, 0.1]. The best logit stays the same; 0: none is drawn.
  double label_range = 0;
  /// Standard deviation of Gaussian noise on the scaled inputs while training; 0: none.
  double input_noise = 0;
  /// A gradient whose norm is above it is scaled down to it; 0: none is.
  double max_gradient_norm = 0;
  /// The first hidden layer is tanh(LayerNorm(.)): nn::BinaryClassifierSpec.
  bool layer_norm = false;
  std::string device = "cpu";
  uint64_t seed = 0;
};

/// What a fit did, and what the classifier says of held-out rows (of training rows where none are
/// held out) and the model's samples at the same (s, a). Logits in nats, not clipped.
struct ClassifierReport {
  int gradient_steps = 0;
  int64_t scored_rows = 0;
  bool held_out = false;   ///< Whether the scored rows were.
  double loss = 0;         ///< Cross-entropy with the hard labels; log 2 = 0.693 knows nothing.
  double accuracy = 0;     ///< Share of both kinds told right; 0.5: indistinguishable.
  double real_logit = 0;   ///< Mean over real rows.
  double model_logit = 0;  ///< Mean over the model's; minus an estimate of KL(q || p).
  double model_logit_min = 0;
  double model_logit_max = 0;
  double seconds = 0;
};

/// Trains a TransitionClassifier by equation (6): takes real (s, a, s'), draws s'' from the model
/// at the same (s, a), anew in each step, and learns to tell s' from s''. Inputs are scaled by the
/// statistics of the training rows, anew in each fit.
///
/// Knows nothing of RPC. Not thread-safe. Fit blocks for its whole computation.
class ClassifierLearner {
 public:
  /// INVALID_ARGUMENT on options out of range.
  static absl::StatusOr<std::unique_ptr<ClassifierLearner>> Create(
      const EnvironmentSpec& spec, const ClassifierLearnerOptions& options);

  /// Trains on all of `train` (columns observations, actions, next_observations) against `model`,
  /// then scores at most 5000 rows of `holdout`. A pair with a number that is not finite is left
  /// out. `cancelled` is asked before each gradient step. INVALID_ARGUMENT where `train` has no
  /// rows or another shape; CANCELLED; INTERNAL where a loss is not finite or no pair of a step is.
  absl::StatusOr<ClassifierReport> Fit(const TransitionBatch& train, const TransitionBatch& holdout,
                                       dynamics::DynamicsModel& model,
                                       const std::function<bool()>& cancelled);

  /// Fits so far; 0: nothing to export that means anything.
  int64_t fits() const { return fits_; }

  /// Adds the classifier to a model snapshot, for TransitionClassifier::Load.
  void Export(nn::TensorFile* snapshot) const;

  /// Adds all that a restart needs to go on: the classifier, Adam's moments, the random stream.
  void SaveState(nn::TensorFile* state) const;
  /// INVALID_ARGUMENT or NOT_FOUND where `state` is of other options or has none.
  absl::Status LoadState(const nn::TensorFile& state);

 private:
  ClassifierLearner(const EnvironmentSpec& spec, const ClassifierLearnerOptions& options,
                    std::unique_ptr<nn::BinaryClassifier> network);

  absl::Status CheckData(const TransitionBatch& batch, const char* what) const;
  /// Takes the rows at `rows_` and draws the model's next observations for them. Leaves the scaled
  /// inputs of the pairs that are finite in inputs_, the real ones first, and returns their number.
  absl::StatusOr<int64_t> Draw(const TransitionBatch& from, dynamics::DynamicsModel& model);
  /// Targets of so many pairs, the real ones first, into targets_.
  void DrawTargets(int64_t pairs);
  absl::Status Step(const TransitionBatch& train, dynamics::DynamicsModel& model);
  absl::Status Score(const TransitionBatch& rows, dynamics::DynamicsModel& model,
                     ClassifierReport* report);

  const int64_t obs_dim_;
  const int64_t action_dim_;
  const ClassifierLearnerOptions options_;
  Rng rng_;
  dynamics::Normaliser normaliser_;
  std::unique_ptr<nn::BinaryClassifier> network_;
  int64_t fits_ = 0;

  // Scratch of a step.
  std::vector<int64_t> rows_;
  std::vector<float> observations_, actions_, next_observations_;
  std::vector<float> inputs_, model_inputs_, targets_, noise_;
  dynamics::ModelStep model_step_;
};

}  // namespace tandem::objective
