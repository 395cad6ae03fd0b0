#pragma once

#include <string>

#include "absl/status/status.h"

namespace tandem::rpc {

/// Path of the socket in "unix:/path" or "unix:///path"; empty for any other address.
std::string UnixSocketPath(const std::string& address);

/// Makes way for a server's socket at `path`: creates the folder, and removes the file that a dead
/// server has left behind. UNAVAILABLE where a living one listens, INVALID_ARGUMENT where the path
/// is longer than the system takes (107 characters), ALREADY_EXISTS where the file is no socket.
absl::Status PrepareSocketFile(const std::string& path);

}  // namespace tandem::rpc
