#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/nn/gaussian_ensemble.h"
#include "common/nn/network_state.h"

namespace tandem::nn {

/// What the implementations of GaussianEnsemble share: the layout, import and export, checks.
class FlatEnsemble : public WithState<GaussianEnsemble> {
 public:
  const GaussianEnsembleSpec& spec() const override { return spec_; }
  absl::Status TrainStep(const EnsembleRows& batch, const AdamOptions& options,
                         std::span<float> losses) override;

 protected:
  FlatEnsemble(const GaussianEnsembleSpec& spec, int64_t align);

  /// Draws initial parameters, the same ones for each implementation; zeros without a seed.
  void InitialiseFrom(std::optional<uint64_t> seed);
  /// INVALID_ARGUMENT unless the member is there and the spans fit the spec.
  absl::Status CheckPredict(int member, std::span<const float> inputs) const;
  absl::Status CheckParameters(int member, std::span<const float> parameters) const;

  /// Entries of the bounds in the layout.
  size_t min_entry() const { return layout_.entries().size() - 2; }
  size_t max_entry() const { return layout_.entries().size() - 1; }

  const GaussianEnsembleSpec spec_;

 private:
  absl::Status CheckRows(const EnsembleRows& batch, std::span<const float> losses) const;
  /// TrainStep on a batch that fits; may throw.
  virtual absl::Status Step(const EnsembleRows& batch, const AdamOptions& options,
                            std::span<float> losses) = 0;
};

/// ATen with autograd, all members as one batched product: any device; the reference.
std::unique_ptr<GaussianEnsemble> MakeAutogradEnsemble(const GaussianEnsembleSpec& spec,
                                                       const std::string& device,
                                                       std::optional<uint64_t> seed);
/// Explicit, fused and cache-blocked: the CPU's. Same numbers as the reference but for rounding.
std::unique_ptr<GaussianEnsemble> MakeExplicitEnsemble(const GaussianEnsembleSpec& spec,
                                                       std::optional<uint64_t> seed);

}  // namespace tandem::nn
