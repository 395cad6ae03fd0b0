#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/nn/safetensors.h"

namespace tandem::dynamics {

/// What is said of a model snapshot whose `what` is not as expected. INVALID_ARGUMENT.
absl::Status Expected(std::string_view what, std::string_view expected, std::string_view got);

/// INVALID_ARGUMENT where the metadata has another value, or none, under `key`. Pure.
absl::Status ExpectText(const nn::TensorFile& file, const std::string& key,
                        std::string_view expected);
absl::Status ExpectInt(const nn::TensorFile& file, const std::string& key, int64_t expected);

}  // namespace tandem::dynamics
