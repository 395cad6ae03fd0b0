#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace tandem::training {

/// Number of this start of a publisher, >= 1 and above those of all earlier starts: counted in
/// `state_dir`/epoch, or, without a folder, the time in microseconds. Blocks on the disk.
absl::StatusOr<uint64_t> StartEpoch(const std::string& state_dir);

}  // namespace tandem::training
