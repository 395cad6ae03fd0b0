#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tandem {

/// An address "host:port" in its two parts.
struct HostPort {
  std::string host;  ///< May be empty, or an IPv6 address in brackets.
  int port = 0;      ///< 0: a free one, where something listens at it.
};

/// Takes "host:port" apart; the last colon counts. INVALID_ARGUMENT where there is none, or no port
/// from 0 to 65535 after it: libraries wrap a larger one without a word. Pure.
absl::StatusOr<HostPort> ParseHostPort(const std::string& address);

}  // namespace tandem
