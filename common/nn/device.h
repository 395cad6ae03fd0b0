#pragma once

#include <string>

#include "absl/status/status.h"

namespace tandem::nn {

/// Sets the process's thread count for tensor operations (threads >= 1; between operations: 1) and
/// flushes denormals to zero. Call once, before the first operation. INVALID_ARGUMENT below 1;
/// FAILED_PRECONDITION when the count can no longer be changed.
absl::Status ConfigureThreads(int threads);

/// That count; before ConfigureThreads the machine's cores.
int Threads();

/// Resolves "cpu", "cuda" or "auto" to "cpu" or "cuda". FAILED_PRECONDITION for "cuda" without a
/// device; INVALID_ARGUMENT for any other name.
absl::Status ResolveDevice(const std::string& wanted, std::string* device);

}  // namespace tandem::nn
