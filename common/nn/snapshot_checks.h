#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/nn/safetensors.h"

namespace tandem::nn {

/// Reads what a snapshot's metadata must say, and words what is wrong with it: "policy snapshot's
/// obs_dim: expected 4, got 3". Errors are INVALID_ARGUMENT, and NOT_FOUND where a key is missing.
/// Immutable and thread-safe.
class SnapshotChecks {
 public:
  /// whose: "model snapshot", say; outlives this.
  explicit constexpr SnapshotChecks(const char* whose) : whose_(whose) {}

  /// What is said where `what` is not as expected.
  absl::Status Expected(std::string_view what, std::string_view expected,
                        std::string_view got) const;

  /// Whether the value under `key` is this one.
  absl::Status Text(const TensorFile& file, const std::string& key,
                    std::string_view expected) const;
  absl::Status Int(const TensorFile& file, const std::string& key, int64_t expected) const;

  /// The sizes of hidden layers under `key`: 1 to 64 of them, each from 1 to 65536.
  absl::StatusOr<std::vector<int>> Hidden(const TensorFile& file, const std::string& key) const;

 private:
  const char* whose_;
};

}  // namespace tandem::nn
