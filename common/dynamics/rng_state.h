#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/nn/safetensors.h"

namespace tandem::dynamics {

/// Stores the whole state of a random stream in the metadata, and makes a stream that goes on from
/// there. NOT_FOUND or INVALID_ARGUMENT name the key.
void SaveRng(const std::string& key, const Rng& rng, nn::TensorFile* file);
absl::StatusOr<Rng> LoadRng(const std::string& key, const nn::TensorFile& file);

}  // namespace tandem::dynamics
