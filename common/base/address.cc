#include "common/base/address.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tandem {

absl::StatusOr<HostPort> ParseHostPort(const std::string& address) {
  constexpr int kMostPort = 65535;
  const size_t colon = address.rfind(':');
  HostPort parts;
  if (colon == std::string::npos || colon + 1 == address.size() ||
      !absl::ascii_isdigit(static_cast<unsigned char>(address[colon + 1])) ||
      !absl::SimpleAtoi(address.substr(colon + 1), &parts.port) || parts.port > kMostPort) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\": expected \"host:port\", port 0 to ", kMostPort));
  }
  parts.host = address.substr(0, colon);
  return parts;
}

}  // namespace tandem
