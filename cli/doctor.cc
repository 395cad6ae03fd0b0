#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "common/env/environment.h"

namespace tandem::cli {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

/// Prints one line a check and counts the failures.
class Findings {
 public:
  void Ok(const std::string& what) { Print("ok  ", what, ""); }
  void Warn(const std::string& what, const std::string& remedy) { Print("warn", what, remedy); }
  void Fail(const std::string& what, const std::string& remedy) {
    Print("fail", what, remedy);
    ++failures_;
  }
  int failures() const { return failures_; }

 private:
  static void Print(const char* mark, const std::string& what, const std::string& remedy) {
    std::cout << mark << "  " << what << (remedy.empty() ? "" : "; " + remedy) << "\n";
  }
  int failures_ = 0;
};

/// The last line that a program prints for --version, and whether it exits with 0. That it starts
/// shows that its shared libraries, LibTorch among them, are there.
bool VersionOf(const std::string& binary, std::string* line) {
  std::string quoted = "'";
  for (const char c : binary) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  FILE* out = popen((quoted + "' --version 2>&1 < /dev/null").c_str(), "r");
  if (out == nullptr) return false;
  char buffer[512];
  while (fgets(buffer, sizeof(buffer), out) != nullptr) {
    *line = std::string(absl::StripAsciiWhitespace(buffer));
  }
  const int status = pclose(out);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void CheckBinaries(Findings& findings) {
  for (const char* role :
       {"replay_buffer", "model_trainer", "policy_trainer", "actor", "monitor"}) {
    const std::string binary = absl::StrCat(BinaryFolder(), "/tandem_", role);
    std::string line;
    if (access(binary.c_str(), X_OK) != 0) {
      findings.Fail(binary + " is missing", "build it: ./dev build release");
    } else if (!VersionOf(binary, &line)) {
      findings.Fail(absl::StrCat(binary, " does not start: ", line),
                    "install what it needs: ./dev setup");
    } else {
      findings.Ok(absl::StrCat(line, " starts"));
    }
  }
}

void CheckEnvironments(Findings& findings) {
  for (const std::string& name : EnvironmentNames()) {
    const absl::Status status = MakeEnvironment(name).status();
    if (status.ok()) {
      findings.Ok("environment " + name);
    } else {
      findings.Fail(absl::StrCat("environment ", name, ": ", std::string(status.message())),
                    "install MuJoCo and Gymnasium's models: ./dev setup");
    }
  }
}

/// MemAvailable of /proc/meminfo [bytes]; 0 where it is not known.
double AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    double kibibytes = 0;
    if (words >> name >> kibibytes && name == "MemAvailable:") return kibibytes * 1024;
  }
  return 0;
}

void CheckMachine(Findings& findings) {
  const int cores = UsableCores();
  if (cores >= 2) {
    findings.Ok(absl::StrCat(cores, " cores"));
  } else {
    findings.Warn("1 core", "five processes share it; training is slower");
  }
  const double memory = AvailableMemory() / kGiB;
  const std::string memory_text = absl::StrFormat("%.1f GiB of memory free", memory);
  if (memory >= 2) {
    findings.Ok(memory_text);
  } else {
    findings.Warn(memory_text, "a run takes 1 to 2 GiB");
  }
  struct statvfs disk;
  if (statvfs(".", &disk) != 0) {
    findings.Fail(absl::StrCat("this folder: ", strerror(errno)), "change to another");
    return;
  }
  const double free =
      static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) / kGiB;
  const std::string disk_text = absl::StrFormat("%.1f GiB of disk free here", free);
  if (free >= 1) {
    findings.Ok(disk_text);
  } else {
    findings.Warn(disk_text, "runs are stored in ./runs; choose another place with --run-dir");
  }
  if (access(".", W_OK) != 0) {
    findings.Warn("this folder is not writable", "choose another place with --run-dir");
  }
}

/// Binds and closes a socket; "" or the system's message.
std::string TryBind(int family, const sockaddr* address, socklen_t size) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return strerror(errno);
  const std::string error = bind(fd, address, size) == 0 ? "" : strerror(errno);
  close(fd);
  return error;
}

void CheckSockets(Findings& findings) {
  std::error_code ignored;
  std::string folder = (std::filesystem::temp_directory_path(ignored) / "tandem-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    findings.Fail(absl::StrCat("temporary folder ", folder, ": ", strerror(errno)),
                  "set TMPDIR to a folder that is writable");
  } else {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = folder + "/policy_trainer.sock";
    const bool fits = path.size() < sizeof(address.sun_path);
    if (fits) std::memcpy(address.sun_path, path.data(), path.size());
    const std::string error =
        fits ? TryBind(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof(address))
             : "the path is too long";
    if (error.empty()) {
      findings.Ok("Unix sockets in " + std::filesystem::path(folder).parent_path().string());
    } else {
      findings.Fail(absl::StrCat("Unix socket ", path, ": ", error), "set TMPDIR to a short path");
    }
    std::filesystem::remove_all(folder, ignored);
  }
  sockaddr_in loopback = {};
  loopback.sin_family = AF_INET;
  loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string error =
      TryBind(AF_INET, reinterpret_cast<sockaddr*>(&loopback), sizeof(loopback));
  if (error.empty()) {
    findings.Ok("ports on 127.0.0.1");
  } else {
    findings.Fail("a port on 127.0.0.1: " + error, "allow it: the /metrics pages need one each");
  }
}

}  // namespace

int Doctor() {
  Findings findings;
  CheckBinaries(findings);
  CheckEnvironments(findings);
  CheckMachine(findings);
  CheckSockets(findings);
  if (findings.failures() == 0) return kDone;
  std::cout << findings.failures() << " of these must be fixed before a run can start\n";
  return kFailed;
}

}  // namespace tandem::cli
