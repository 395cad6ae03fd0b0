#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/data/spec.h"
#include "common/dynamics/sample_objective.h"
#include "common/nn/safetensors.h"
#include "common/nn/state_value.h"
#include "common/objective/transition_classifier.h"

namespace tandem::objective {

struct UsefulModelOptions {
  /// Weights beside a likelihood of weight 1; 0 turns a term off. Both at most 0.1: at 1 they
  /// destroy a model, whose samples then please the critic and nothing else.
  double value_weight = 0;
  double ratio_weight = 0;
  /// Both rise from 0 over so many gradient steps, counted from the first step that has something
  /// to say; 0: at once.
  int64_t ramp_steps = 2000;
  std::string device = "cpu";
  uint64_t seed = 0;  ///< Of the actions in V.
};

/// The model's side of the joint objective, equation (7) of docs/algorithms.md: beside the
/// likelihood, the model maximises E_q[ value_weight * V(s') + ratio_weight * logit C(s, a, s') ],
/// so that it errs, where it errs, towards what is valuable and cannot be told from the world.
///
/// A term needs its network: until SetCritic the value term is 0, until SetClassifier the ratio
/// term; without both it is inactive and the model's fit is the likelihood's alone. A term that is
/// not finite is left out of its gradient step, which the log says once. Give it to
/// EnsembleLearner::SetSampleObjective. Not thread-safe.
class UsefulModel : public dynamics::SampleObjective {
 public:
  /// INVALID_ARGUMENT where a weight is negative or above 0.1.
  static absl::StatusOr<std::unique_ptr<UsefulModel>> Create(const EnvironmentSpec& spec,
                                                             const UsefulModelOptions& options);

  /// The critic and actor of a policy snapshot, in place of the last one. On an error the last one
  /// stays.
  absl::Status SetCritic(const nn::TensorFile& policy_snapshot);
  /// Null: none. Outlives this or the next call.
  void SetClassifier(TransitionClassifier* classifier) { classifier_ = classifier; }

  bool active() const override;
  absl::Status Gradients(std::span<const float> observations, std::span<const float> actions,
                         std::span<const float> next_observations,
                         std::span<float> gradients) override;

  /// Stores and restores how far the weights have risen and the random stream, in the metadata
  /// ("useful_model.*"). NOT_FOUND or INVALID_ARGUMENT name the key.
  void SaveState(nn::TensorFile* state) const;
  absl::Status LoadState(const nn::TensorFile& state);

  /// Share of the weights in force, in [0, 1].
  double ramp() const;

 private:
  UsefulModel(const EnvironmentSpec& spec, const UsefulModelOptions& options);

  /// Takes weight times the term in outputs_ and scratch_ off the gradients, which are of a loss;
  /// not where a number of it is not finite.
  void Subtract(double weight, const char* term, std::span<float> gradients);

  const EnvironmentSpec spec_;
  const UsefulModelOptions options_;
  Rng rng_;
  std::unique_ptr<nn::StateValue> value_;
  TransitionClassifier* classifier_ = nullptr;
  int64_t steps_ = 0;
  bool left_out_told_ = false;
  std::vector<float> noise_, outputs_, scratch_;
};

}  // namespace tandem::objective
