#include "services/monitor/core/override_token.h"

#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace tandem::monitor {
namespace {

constexpr size_t kLeast = 16;
constexpr size_t kMost = 4096;

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  if (path.empty()) return std::string();
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "token file " + path);
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("token file %s has mode %o: only its owner may read it (chmod 600)", path,
                        info.st_mode & 0777));
  }
  TANDEM_ASSIGN_OR_RETURN(const std::string contents, ReadFile(path, kMost));
  std::string token(absl::StripAsciiWhitespace(contents));
  if (token.size() < kLeast) {
    return absl::FailedPreconditionError(absl::StrCat("the token in ", path, " has ", token.size(),
                                                      " characters; at least ", kLeast,
                                                      " are needed"));
  }
  return token;
}

bool TokensMatch(const std::string& expected, const std::string& given) {
  volatile unsigned char differ = expected.size() == given.size() ? 0 : 1;
  for (size_t i = 0; i < expected.size(); ++i) {
    const char other = i < given.size() ? given[i] : '\0';
    differ = differ | static_cast<unsigned char>(expected[i] ^ other);
  }
  return differ == 0;
}

}  // namespace tandem::monitor
