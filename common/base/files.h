#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem {

/// Whole contents of a file. NOT_FOUND, RESOURCE_EXHAUSTED above `max_bytes`, or the system's
/// error.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = size_t{1} << 30);

/// Replaces `path` with `contents` so that a reader, or a crash, sees the old file or the new one,
/// never a mixture: temporary file, fsync, rename, fsync of the folder. A full disk is
/// RESOURCE_EXHAUSTED and leaves the old file as it was. Blocks on the disk.
absl::Status WriteFileAtomically(const std::string& path, std::string_view contents);

/// Appends to `path`, creating it. A full disk is RESOURCE_EXHAUSTED.
absl::Status AppendToFile(const std::string& path, std::string_view contents);

/// Creates a folder and its parents. OK where it exists.
absl::Status MakeDirs(const std::string& path);

/// Reads the number in `path` (0 where there is none), writes it back plus one, and returns that:
/// counts the starts of a process. Blocks on the disk.
absl::StatusOr<uint64_t> IncrementCounterFile(const std::string& path);

/// Status for a failed system call: "open /x: No space left on device", with a fitting code.
absl::Status ErrnoStatus(int error, std::string_view what);

}  // namespace tandem
