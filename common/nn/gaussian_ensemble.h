#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/nn/safetensors.h"

namespace tandem::nn {

/// Sizes of an ensemble of MLPs, alike but for their weights.
struct GaussianEnsembleSpec {
  int members = 7;
  int64_t input_dim = 0;
  int64_t output_dim = 0;  ///< Gaussian outputs, each with a mean and a log variance.
  int64_t binary_dim = 0;  ///< Further outputs that are logits of a yes-or-no event.
  std::vector<int> hidden = {200, 200, 200, 200};  ///< SiLU after each.
};

/// One batch for each member, rows member-major.
struct EnsembleRows {
  int64_t rows = 0;                ///< B, for each member
  std::span<const float> inputs;   ///< [members, B, input_dim]
  std::span<const float> targets;  ///< [members, B, output_dim]
  std::span<const float>
      binary_targets;  ///< [members, B, binary_dim], 0 or 1; empty where binary_dim = 0
  /// Of a further term of each member's loss, by its means and log variances: [members, B,
  /// output_dim], or both empty. The losses that TrainStep returns leave that term out.
  std::span<const float> mean_gradients, log_var_gradients;
};

/// Predictions of one member. Reused between calls without allocation once large enough.
struct EnsemblePrediction {
  std::vector<float> means;     ///< [B, output_dim]
  std::vector<float> log_vars;  ///< [B, output_dim], within the learned bounds
  std::vector<float> stds;      ///< [B, output_dim], exp(log_var / 2)
  std::vector<float> logits;    ///< [B, binary_dim]
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< Decoupled (AdamW); not applied to biases and variance bounds.
};

/// An ensemble of probabilistic MLPs over one flat parameter buffer (Chua et al. 2018, PETS; Janner
/// et al. 2019, MBPO): each output is a Gaussian whose log variance is bounded softly between two
/// learned bounds, and the loss is the negative log likelihood
///   0.5 mean[(mean - target)^2 exp(-log_var) + log_var] + 0.01 sum(max_log_var - min_log_var),
/// plus the binary cross-entropy of the logits.
///
/// This is the small interface behind which implementations stand: ATen with autograd (any device,
/// all members as one batched product), and explicit ones. Everything at the border is host memory,
/// float32, row-major. Not thread-safe. LibTorch's exceptions come out as INTERNAL.
class GaussianEnsemble {
 public:
  /// device: "cpu" or "cuda". Weights are drawn from `seed` (truncated normal with standard
  /// deviation 1 / (2 sqrt(fan-in))), biases are 0; without a seed all is 0, for parameters that
  /// are imported next. INVALID_ARGUMENT on sizes below 1.
  static absl::StatusOr<std::unique_ptr<GaussianEnsemble>> Create(const GaussianEnsembleSpec& spec,
                                                                  const std::string& device,
                                                                  std::optional<uint64_t> seed);
  virtual ~GaussianEnsemble() = default;

  virtual const GaussianEnsembleSpec& spec() const = 0;

  /// One Adam step on the sum of the members' losses. losses: [members], each member's own loss
  /// before the step. INVALID_ARGUMENT on a shape; INTERNAL where a loss is not finite:
  /// nothing has changed where that comes from the batch; where it comes from a member's weights,
  /// members before it may have had their step.
  virtual absl::Status TrainStep(const EnsembleRows& batch, const AdamOptions& options,
                                 std::span<float> losses) = 0;

  /// Predicts `inputs`, [B, input_dim], with one member.
  virtual absl::Status Predict(int member, std::span<const float> inputs,
                               EnsemblePrediction* prediction) = 0;

  /// Writes the parameters as "<prefix>w0", "<prefix>b0", ..., "<prefix>min_log_var",
  /// "<prefix>max_log_var" with a leading member dimension; weights are [members, in, out].
  virtual void ExportParameters(const std::string& prefix, TensorFile* file) const = 0;
  /// The reverse; every shape is checked before anything changes.
  virtual absl::Status ImportParameters(const std::string& prefix, const TensorFile& file) = 0;
  /// Adam's moments and step count, as "<prefix>adam_m", "<prefix>adam_v", "<prefix>adam_t".
  virtual void ExportOptimizer(const std::string& prefix, TensorFile* file) const = 0;
  virtual absl::Status ImportOptimizer(const std::string& prefix, const TensorFile& file) = 0;

  /// Copies one member's parameters out of and into the ensemble: how the best weights of each
  /// member are kept during a fit. [parameters of one member], in an order of the implementation's
  /// own.
  virtual void CopyMemberParameters(int member, std::vector<float>* parameters) const = 0;
  virtual absl::Status SetMemberParameters(int member, std::span<const float> parameters) = 0;
};

}  // namespace tandem::nn
