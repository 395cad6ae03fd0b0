#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/nn/binary_classifier.h"
#include "common/nn/layout.h"

namespace tandem::nn {

/// What the implementations of BinaryClassifier share: the layout, and import and export of flat
/// buffers. An implementation keeps three buffers, [layout.size()], wherever it computes.
class FlatClassifier : public BinaryClassifier {
 public:
  const BinaryClassifierSpec& spec() const override { return spec_; }
  void ExportParameters(const std::string& prefix, TensorFile* file) const override;
  absl::Status ImportParameters(const std::string& prefix, const TensorFile& file) override;
  void ExportOptimizer(const std::string& prefix, TensorFile* file) const override;
  absl::Status ImportOptimizer(const std::string& prefix, const TensorFile& file) override;

 protected:
  enum class Buffer { kParameters, kFirstMoments, kSecondMoments };

  FlatClassifier(const BinaryClassifierSpec& spec, int64_t align);

  /// The whole of a buffer, padding included.
  virtual std::vector<float> Read(Buffer buffer) const = 0;
  virtual void Write(Buffer buffer, std::span<const float> flat) = 0;

  /// Draws initial parameters, the same ones for each implementation; zeros without a seed.
  void InitialiseFrom(std::optional<uint64_t> seed);
  /// INVALID_ARGUMENT unless the spans fit the spec and targets are probabilities.
  absl::Status Check(const ClassifierRows& batch) const;
  absl::Status Check(std::span<const float> inputs, std::span<const float> logits) const;
  absl::Status Check(std::span<const float> inputs, std::span<const float> logits,
                     std::span<const float> gradients) const;

  const BinaryClassifierSpec spec_;
  const ParameterLayout layout_;
  int64_t adam_steps_ = 0;

 private:
  absl::StatusOr<std::vector<float>> FindMoments(const std::string& name,
                                                 const TensorFile& file) const;
};

/// ATen with autograd: any device; the reference.
std::unique_ptr<BinaryClassifier> MakeAutogradClassifier(const BinaryClassifierSpec& spec,
                                                         const std::string& device,
                                                         std::optional<uint64_t> seed);
/// Explicit and fused: the CPU's. Same numbers as the reference but for rounding.
std::unique_ptr<BinaryClassifier> MakeExplicitClassifier(const BinaryClassifierSpec& spec,
                                                         std::optional<uint64_t> seed);

}  // namespace tandem::nn
