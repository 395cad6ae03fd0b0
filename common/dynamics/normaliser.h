#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/nn/safetensors.h"

namespace tandem::dynamics {

/// Shift and scale of columns: normalised = (x - mean) / std. Plain data.
struct Normaliser {
  std::vector<float> mean;
  std::vector<float> std;

  int64_t dim() const { return static_cast<int64_t>(mean.size()); }

  /// Mean and standard deviation of `rows`, [B, dim], B >= 1. A column that hardly varies (standard
  /// deviation below 1e-6 (1 + |mean|)) gets the standard deviation `constant_std`.
  static Normaliser Of(std::span<const float> rows, int64_t dim, float constant_std);

  /// Gives `rows` rows from `first` on, [rows, dim]; they are read before the next call.
  using Block = std::function<std::span<const float>(int64_t first, int64_t rows)>;
  /// The same of `rows` rows that are never all in memory: asks for each twice.
  static Normaliser Of(int64_t rows, int64_t dim, const Block& block, float constant_std);

  /// rows: [B, dim], in place.
  void Apply(std::span<float> rows) const;

  /// Tensors "<prefix>_mean" and "<prefix>_std", [dim].
  void Export(const std::string& prefix, nn::TensorFile* file) const;
  /// NOT_FOUND or INVALID_ARGUMENT names the tensor; every std must be positive.
  absl::Status Import(const std::string& prefix, int64_t dim, const nn::TensorFile& file);
};

}  // namespace tandem::dynamics
