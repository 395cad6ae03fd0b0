#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tandem::monitor {

/// Reads the token that allows overrides: the file's contents without surrounding white space, at
/// least 16 characters. Empty for an empty path. FAILED_PRECONDITION where others than the file's
/// owner may read or write it, or the token is too short; NOT_FOUND and the like else.
absl::StatusOr<std::string> ReadToken(const std::string& path);

/// Compares in a time that does not tell how much of a wrong token is right. Pure.
bool TokensMatch(const std::string& expected, const std::string& given);

}  // namespace tandem::monitor
