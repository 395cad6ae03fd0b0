#include "common/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem {
namespace {

// A file descriptor that closes itself.
class Fd {
 public:
  Fd(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int Close() {
    const int result = close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

absl::Status Failed(std::string_view call, const std::string& path) {
  const int error = errno;
  std::string what(call);
  return ErrnoStatus(error, what.append(" ").append(path));
}

absl::Status WriteAll(const Fd& fd, std::string_view contents, const std::string& path) {
  while (!contents.empty()) {
    const ssize_t written = write(fd.get(), contents.data(), contents.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Failed("write", path);
    }
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status SyncFolder(const std::string& folder) {
  const Fd fd(folder, O_RDONLY | O_DIRECTORY);
  if (!fd.ok()) return Failed("open", folder);
  // Some file systems cannot sync a folder and say EINVAL; the rename is then as safe as it gets.
  if (fsync(fd.get()) != 0 && errno != EINVAL) return Failed("fsync", folder);
  return absl::OkStatus();
}

absl::Status WriteAndSync(const std::string& path, std::string_view contents) {
  Fd fd(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd.ok()) return Failed("open", path);
  TANDEM_RETURN_IF_ERROR(WriteAll(fd, contents, path));
  if (fsync(fd.get()) != 0) return Failed("fsync", path);
  if (fd.Close() != 0) return Failed("close", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view what) {
  const std::string message =
      std::string(what).append(": ").append(std::generic_category().message(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::Status(absl::ErrnoToStatusCode(error), message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const Fd fd(path, O_RDONLY);
  if (!fd.ok()) return Failed("open", path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return Failed("stat", path);
  std::string contents;
  char block[1 << 16];
  if (info.st_size > 0 && static_cast<size_t>(info.st_size) <= max_bytes) {
    contents.reserve(static_cast<size_t>(info.st_size));
  }
  for (;;) {
    const ssize_t n = read(fd.get(), block, sizeof(block));
    if (n < 0) {
      if (errno == EINTR) continue;
      return Failed("read", path);
    }
    if (n == 0) return contents;
    if (contents.size() + static_cast<size_t>(n) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("read ", path, ": longer than the limit of ", max_bytes, " bytes"));
    }
    contents.append(block, static_cast<size_t>(n));
  }
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view contents) {
  static std::atomic<uint64_t> counter{0};
  const std::string temporary =
      absl::StrCat(path, ".tmp.", getpid(), ".", counter.fetch_add(1, std::memory_order_relaxed));
  unlink(temporary.c_str());  // left by a killed process that had our pid, as in containers
  absl::Status status = WriteAndSync(temporary, contents);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = Failed("rename", path);
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncFolder(FolderOf(path));
}

absl::Status AppendToFile(const std::string& path, std::string_view contents) {
  Fd fd(path, O_WRONLY | O_CREAT | O_APPEND);
  if (!fd.ok()) return Failed("open", path);
  struct stat before;
  if (fstat(fd.get(), &before) != 0) return Failed("stat", path);
  if (absl::Status status = WriteAll(fd, contents, path); !status.ok()) {
    // Leaves no half record behind; devices and pipes cannot be cut, and need not be.
    if (S_ISREG(before.st_mode) && ftruncate(fd.get(), before.st_size) != 0) {
      return absl::DataLossError(
          absl::StrCat(path, ": ends in a part of a record; ", std::string(status.message())));
    }
    return status;
  }
  if (fd.Close() != 0) return Failed("close", path);
  return absl::OkStatus();
}

absl::Status MakeDirs(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), std::string("mkdir ").append(path));
  if (!std::filesystem::is_directory(path, error)) {
    return ErrnoStatus(ENOTDIR, std::string("mkdir ").append(path));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> IncrementCounterFile(const std::string& path) {
  uint64_t count = 0;
  absl::StatusOr<std::string> contents = ReadFile(path, /*max_bytes=*/64);
  if (contents.ok()) {
    if (!absl::SimpleAtoi(*contents, &count)) {
      return absl::DataLossError(
          absl::StrCat(path, ": expected a number, got \"", *contents, "\""));
    }
  } else if (!absl::IsNotFound(contents.status())) {
    return contents.status();
  }
  ++count;
  TANDEM_RETURN_IF_ERROR(WriteFileAtomically(path, absl::StrCat(count, "\n")));
  return count;
}

}  // namespace tandem
