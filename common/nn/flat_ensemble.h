#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/nn/gaussian_ensemble.h"
#include "common/nn/layout.h"

namespace tandem::nn {

/// What the implementations of GaussianEnsemble share: the layout, and import and export of flat
/// buffers. An implementation keeps three buffers, [members, layout.size()], wherever it computes.
class FlatEnsemble : public GaussianEnsemble {
 public:
  const GaussianEnsembleSpec& spec() const override { return spec_; }
  void ExportParameters(const std::string& prefix, TensorFile* file) const override;
  absl::Status ImportParameters(const std::string& prefix, const TensorFile& file) override;
  void ExportOptimizer(const std::string& prefix, TensorFile* file) const override;
  absl::Status ImportOptimizer(const std::string& prefix, const TensorFile& file) override;

 protected:
  enum class Buffer { kParameters, kFirstMoments, kSecondMoments };

  FlatEnsemble(const GaussianEnsembleSpec& spec, int64_t align);

  /// The whole of a buffer, padding included.
  virtual std::vector<float> Read(Buffer buffer) const = 0;
  virtual void Write(Buffer buffer, std::span<const float> flat) = 0;

  /// Draws initial parameters, the same ones for each implementation; zeros without a seed.
  void InitialiseFrom(std::optional<uint64_t> seed);
  /// INVALID_ARGUMENT unless the spans fit the spec.
  absl::Status CheckRows(const EnsembleRows& batch, std::span<const float> losses) const;
  absl::Status CheckPredict(int member, std::span<const float> inputs) const;

  /// Columns of the last layer: means, log variances, logits.
  int64_t head_dim() const { return 2 * spec_.output_dim + spec_.binary_dim; }
  /// Entries of the bounds in the layout.
  size_t min_entry() const { return layout_.entries().size() - 2; }
  size_t max_entry() const { return layout_.entries().size() - 1; }

  const GaussianEnsembleSpec spec_;
  const ParameterLayout layout_;
  int64_t adam_steps_ = 0;

 private:
  absl::StatusOr<std::vector<float>> FindMoments(const std::string& name,
                                                 const TensorFile& file) const;
};

/// ATen with autograd, all members as one batched product: any device; the reference.
std::unique_ptr<GaussianEnsemble> MakeAutogradEnsemble(const GaussianEnsembleSpec& spec,
                                                       const std::string& device,
                                                       std::optional<uint64_t> seed);
/// Explicit, fused and cache-blocked: the CPU's. Same numbers as the reference but for rounding.
std::unique_ptr<GaussianEnsemble> MakeExplicitEnsemble(const GaussianEnsembleSpec& spec,
                                                       std::optional<uint64_t> seed);

}  // namespace tandem::nn
