#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::nn {

/// One dense float32 array, row-major.
struct NamedTensor {
  std::vector<int64_t> shape;
  std::vector<float> data;
};

/// Named tensors and string metadata: what a snapshot or a checkpoint holds. Ordered by name, so
/// that equal contents give equal bytes.
struct TensorFile {
  std::map<std::string, NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// The bytes of a safetensors file: 8 bytes little-endian header length, a JSON header padded with
/// spaces to 8 bytes, then the tensors back to back. INVALID_ARGUMENT where a tensor's data does
/// not fit its shape or a name is empty or "__metadata__". Format:
/// https://github.com/huggingface/safetensors
absl::StatusOr<std::string> WriteSafetensors(const TensorFile& file);

/// Reads float32 tensors. Safe on hostile bytes: the header's length (at most 1 MiB), every range,
/// overlap, gap, shape product and dtype is checked before anything is allocated from it.
/// INVALID_ARGUMENT says what was expected and what came.
absl::StatusOr<TensorFile> ReadSafetensors(std::string_view bytes);

/// Looks up a tensor and checks its shape. NOT_FOUND / INVALID_ARGUMENT name the tensor.
absl::StatusOr<const NamedTensor*> FindTensor(const TensorFile& file, const std::string& name,
                                              const std::vector<int64_t>& shape);

/// Looks up metadata: text, a number, or a list of numbers written "200,200". NOT_FOUND or
/// INVALID_ARGUMENT name the key.
absl::StatusOr<std::string> FindText(const TensorFile& file, const std::string& key);
absl::StatusOr<int64_t> FindInt(const TensorFile& file, const std::string& key);
absl::StatusOr<double> FindDouble(const TensorFile& file, const std::string& key);
absl::StatusOr<std::vector<int>> FindInts(const TensorFile& file, const std::string& key);
std::string JoinInts(const std::vector<int>& values);

}  // namespace tandem::nn
