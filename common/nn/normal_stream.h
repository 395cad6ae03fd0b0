#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "common/nn/safetensors.h"

namespace tandem::nn {

/// Standard normals by counter: number i under a key is a pure function of both (a mixed counter,
/// then Box and Muller's transform), so that filling is vectorised and the state is two whole
/// numbers. Fill consumes whole blocks of 32. Not thread-safe.
class NormalStream {
 public:
  explicit NormalStream(uint64_t key) : key_(key) {}

  void Fill(std::span<float> out);

  /// Stores and restores key and counter in the metadata under `name`.
  void Save(const std::string& name, TensorFile* file) const;
  absl::Status Load(const std::string& name, const TensorFile& file);

 private:
  uint64_t key_;
  uint64_t block_ = 0;
};

}  // namespace tandem::nn
