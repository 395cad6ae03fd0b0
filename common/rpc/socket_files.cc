#include "common/rpc/socket_files.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace tandem::rpc {
namespace {

/// Whether anybody accepts connections at the socket. Only a refusal proves that nobody does: a
/// server that is too busy to accept is alive.
bool SomebodyListens(const sockaddr_un& to) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const bool refused =
      connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 && errno == ECONNREFUSED;
  close(fd);
  return !refused;
}

}  // namespace

std::string UnixSocketPath(const std::string& address) {
  for (const char* prefix : {"unix://", "unix:"}) {
    if (absl::StartsWith(address, prefix)) return address.substr(strlen(prefix));
  }
  return "";
}

absl::Status PrepareSocketFile(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof(to.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot listen at unix:", path, ": a socket's path has at most ", sizeof(to.sun_path) - 1,
        " characters, this one has ", path.size(), "; choose a shorter folder"));
  }
  memcpy(to.sun_path, path.data(), path.size());
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    TANDEM_RETURN_IF_ERROR(MakeDirs(path.substr(0, slash)));
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, "cannot look at " + path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat("cannot listen at unix:", path, ": a file that is no socket is in the way"));
  }
  if (SomebodyListens(to)) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen at unix:", path, ": another process listens there"));
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "cannot remove the stale socket " + path);
  }
  return absl::OkStatus();
}

}  // namespace tandem::rpc
