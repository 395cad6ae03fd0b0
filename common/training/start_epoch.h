#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace tandem::training {

/// Number of this start of a publisher, >= 1 and above those of all earlier starts: what
/// `state_dir`/epoch says and one more or, where there is no such file, Unix time in microseconds,
/// which is then where the count begins. So a publisher that lost its folder is newer, too, than
/// all that its watchers hold. Blocks on the disk.
absl::StatusOr<uint64_t> StartEpoch(const std::string& state_dir);

}  // namespace tandem::training
