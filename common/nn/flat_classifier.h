#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/nn/binary_classifier.h"
#include "common/nn/network_state.h"

namespace tandem::nn {

/// What the implementations of BinaryClassifier share: the layout, import and export, checks.
class FlatClassifier : public WithState<BinaryClassifier> {
 public:
  const BinaryClassifierSpec& spec() const override { return spec_; }
  absl::StatusOr<double> TrainStep(const ClassifierRows& batch,
                                   const ClassifierStepOptions& options) override;

 protected:
  FlatClassifier(const BinaryClassifierSpec& spec, int64_t align);

  /// Draws initial parameters, the same ones for each implementation; zeros without a seed.
  void InitialiseFrom(std::optional<uint64_t> seed);
  /// INVALID_ARGUMENT unless the spans fit the spec and targets are probabilities.
  absl::Status Check(const ClassifierRows& batch) const;
  absl::Status Check(std::span<const float> inputs, std::span<const float> logits) const;
  absl::Status Check(std::span<const float> inputs, std::span<const float> logits,
                     std::span<const float> gradients) const;

  const BinaryClassifierSpec spec_;

 private:
  /// TrainStep on a batch that fits; may throw.
  virtual absl::Status Step(const ClassifierRows& batch, const ClassifierStepOptions& options,
                            double* loss) = 0;
};

/// ATen with autograd: any device; the reference.
std::unique_ptr<BinaryClassifier> MakeAutogradClassifier(const BinaryClassifierSpec& spec,
                                                         const std::string& device,
                                                         std::optional<uint64_t> seed);
/// Explicit and fused: the CPU's, without layer_norm. Same numbers as the reference but for
/// rounding.
std::unique_ptr<BinaryClassifier> MakeExplicitClassifier(const BinaryClassifierSpec& spec,
                                                         std::optional<uint64_t> seed);

}  // namespace tandem::nn
