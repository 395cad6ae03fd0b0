#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/nn/gaussian_ensemble.h"
#include "common/nn/safetensors.h"

namespace tandem::nn {

/// Sizes of an MLP with one output, ReLU after each hidden layer.
struct BinaryClassifierSpec {
  int64_t input_dim = 0;
  std::vector<int> hidden = {64, 64};
  /// The first hidden layer is tanh(LayerNorm(W x + b)) instead (Ba et al. 2016): no input, however
  /// far away, moves a unit out of [-1, 1]. Computed by ATen on every device.
  bool layer_norm = false;
};

/// How a step is taken.
struct ClassifierStepOptions {
  AdamOptions adam;
  /// A gradient whose norm over all parameters is above it is scaled down to it first; 0: none is.
  double max_gradient_norm = 0;
};

/// B rows to learn from. Spans are host memory, row-major.
struct ClassifierRows {
  int64_t rows = 0;
  std::span<const float> inputs;   ///< [B, input_dim], scaled to about unit variance
  std::span<const float> targets;  ///< [B] wanted probability, in [0, 1]
};

/// Tells two kinds of rows apart: the logit of an MLP is the log odds that a row is of the kind
/// whose target is 1. The loss is the mean cross-entropy with the targets, which may be soft; where
/// both kinds come equally often and targets are hard, the best logit is the log ratio of their
/// densities.
///
/// Like GaussianEnsemble, an interface behind which implementations stand. Everything at the border
/// is host memory, float32. Not thread-safe. LibTorch's exceptions come out as INTERNAL.
class BinaryClassifier {
 public:
  /// device: "cpu" or "cuda". Weights are drawn from `seed` (Xavier's uniform), biases are 0;
  /// without a seed all is 0, for parameters that are imported next. INVALID_ARGUMENT on sizes
  /// below 1.
  static absl::StatusOr<std::unique_ptr<BinaryClassifier>> Create(const BinaryClassifierSpec& spec,
                                                                  const std::string& device,
                                                                  std::optional<uint64_t> seed);
  virtual ~BinaryClassifier() = default;

  virtual const BinaryClassifierSpec& spec() const = 0;

  /// One Adam step; returns the loss before it [nats]. INVALID_ARGUMENT on a shape; INTERNAL where
  /// the loss is not finite: nothing has changed then.
  virtual absl::StatusOr<double> TrainStep(const ClassifierRows& batch,
                                           const ClassifierStepOptions& options) = 0;

  /// inputs: [B, input_dim]; logits: [B].
  virtual absl::Status Logits(std::span<const float> inputs, std::span<float> logits) = 0;

  /// The logits, and the gradient of each by its own row of inputs: [B, input_dim].
  virtual absl::Status LogitGradients(std::span<const float> inputs, std::span<float> logits,
                                      std::span<float> gradients) = 0;

  /// Writes the parameters as "<prefix>w0", "<prefix>b0", ...; weights are [in, out]. With
  /// layer_norm also "<prefix>norm_gain", which 1 is added to, and "<prefix>norm_bias".
  virtual void ExportParameters(const std::string& prefix, TensorFile* file) const = 0;
  /// The reverse; every shape is checked before anything changes.
  virtual absl::Status ImportParameters(const std::string& prefix, const TensorFile& file) = 0;
  /// Adam's moments and step count, as "<prefix>adam_m", "<prefix>adam_v", "<prefix>adam_t".
  virtual void ExportOptimizer(const std::string& prefix, TensorFile* file) const = 0;
  virtual absl::Status ImportOptimizer(const std::string& prefix, const TensorFile& file) = 0;
};

}  // namespace tandem::nn
