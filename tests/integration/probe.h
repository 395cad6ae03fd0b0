#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::integration {

/// What the health service at `address` answers: "SERVING" or "NOT_SERVING". Blocks at most 5 s.
absl::StatusOr<std::string> Health(const std::string& address);
/// Asks until the answer is `wanted`. DEADLINE_EXCEEDED with the last one.
absl::Status WaitForHealth(const std::string& address, const std::string& wanted,
                           absl::Duration timeout);
/// The raw answer of the reflection service to "which services are here": holds their full names.
absl::StatusOr<std::string> Reflect(const std::string& address);
/// Body of http://host:port/path. UNAVAILABLE where nobody answers with 200.
absl::StatusOr<std::string> HttpGet(const std::string& host_and_port, const std::string& path);
/// Whether `promtool check metrics` likes the page. NOT_FOUND where promtool is not installed.
absl::Status CheckWithPromtool(const std::string& page);

}  // namespace tandem::integration
