#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/spec.h"
#include "common/dynamics/normaliser.h"
#include "common/nn/binary_classifier.h"
#include "common/nn/safetensors.h"

namespace tandem::objective {

/// Name prefix of the classifier's tensors and metadata in a model snapshot.
inline constexpr char kClassifierPrefix[] = "classifier.";
/// Its hidden sizes, and the statistics that scale its inputs.
inline constexpr char kClassifierHiddenKey[] = "classifier.hidden";
/// Present where its first layer is normalised (nn::BinaryClassifierSpec::layer_norm).
inline constexpr char kClassifierLayerNormKey[] = "classifier.layer_norm";
inline constexpr char kClassifierInputsName[] = "classifier.inputs";

/// C(s, a, s') of "Mismatched No More" (Eysenbach et al. 2021), equation (6) of docs/algorithms.md:
/// how probable it is that s' came from the world and not from the model, given (s, a). Trained on
/// the same (s, a) for both, its logit estimates log p(s' | s, a) - log q(s' | s, a): p the real
/// dynamics, q the model. It sees (s, a, s' - s, s'), each element scaled by the statistics of the
/// real data. Whether s' is terminal is no input: a real transition into a terminal state is one
/// like any other, and the ratio says nothing of how the model predicts termination.
///
/// Immutable once loaded. Not thread-safe (it owns scratch buffers).
class TransitionClassifier {
 public:
  /// Takes the classifier out of a model snapshot. NOT_FOUND where there is none (see IsIn);
  /// INVALID_ARGUMENT where it does not fit the spec. device: "cpu" or "cuda".
  static absl::StatusOr<std::unique_ptr<TransitionClassifier>> Load(const nn::TensorFile& snapshot,
                                                                    const EnvironmentSpec& spec,
                                                                    const std::string& device);
  static bool IsIn(const nn::TensorFile& snapshot);

  TransitionClassifier(int64_t obs_dim, int64_t action_dim, dynamics::Normaliser inputs,
                       std::unique_ptr<nn::BinaryClassifier> network);

  /// Columns that the network sees, for observations and actions of these sizes.
  static int64_t InputDim(int64_t obs_dim, int64_t action_dim) { return 3 * obs_dim + action_dim; }

  /// log p - log q of each row [nats], not clipped. observations, next_observations: [B, obs_dim];
  /// actions: [B, action_dim] in the environment's units; logits: [B]. INVALID_ARGUMENT on a shape.
  absl::Status Logits(std::span<const float> observations, std::span<const float> actions,
                      std::span<const float> next_observations, std::span<float> logits);

  /// The same, and the gradient of each logit by its next observation, [B, obs_dim].
  absl::Status LogitGradients(std::span<const float> observations, std::span<const float> actions,
                              std::span<const float> next_observations, std::span<float> logits,
                              std::span<float> gradients);

 private:
  /// Scaled inputs into inputs_.
  absl::Status Prepare(std::span<const float> observations, std::span<const float> actions,
                       std::span<const float> next_observations, std::span<const float> logits);

  const int64_t obs_dim_;
  const int64_t action_dim_;
  const dynamics::Normaliser normaliser_;  // [InputDim]
  const std::unique_ptr<nn::BinaryClassifier> network_;
  std::vector<float> inputs_, gradients_;
};

/// Writes the rows (s, a, s' - s, s') of transitions to `out`, [B, InputDim], not scaled. The spans
/// are as above; out is resized.
void ClassifierInputs(int64_t obs_dim, int64_t action_dim, std::span<const float> observations,
                      std::span<const float> actions, std::span<const float> next_observations,
                      std::vector<float>* out);

}  // namespace tandem::objective
