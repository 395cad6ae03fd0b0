#include "tests/integration/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/base/subprocess.h"

namespace tandem::integration {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(5);

std::string OutputFile(const std::string& folder, pid_t pid, const char* stream) {
  return absl::StrCat(folder, "/", pid, ".", stream);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Start(std::vector<std::string> argv,
                                                        const std::string& folder) {
  const std::string out = folder + "/new.out", err = folder + "/new.err";
  const int flags = O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC;
  const int out_fd = open(out.c_str(), flags, 0600), err_fd = open(err.c_str(), flags, 0600);
  if (out_fd < 0 || err_fd < 0) return ErrnoStatus(errno, folder);
  const absl::StatusOr<pid_t> pid = StartSubprocess(
      {.argv = std::move(argv), .output = out_fd, .error = err_fd, .parent_death_signal = SIGKILL});
  close(out_fd);
  close(err_fd);
  if (!pid.ok()) return pid.status();
  rename(out.c_str(), OutputFile(folder, *pid, "out").c_str());
  rename(err.c_str(), OutputFile(folder, *pid, "err").c_str());
  return std::unique_ptr<Process>(new Process(*pid, folder));
}

Process::~Process() {
  if (!exit_code_) Signal(SIGKILL);
  Wait(absl::Seconds(10));
}

void Process::Signal(int number) {
  if (!exit_code_) kill(pid_, number);
}

std::optional<int> Process::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!exit_code_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (absl::Now() >= deadline) {
      break;
    } else {
      std::this_thread::sleep_for(absl::ToChronoMilliseconds(kPoll));
    }
  }
  return exit_code_;
}

std::string Process::Stdout() const {
  return ReadFile(OutputFile(folder_, pid_, "out")).value_or("");
}

std::string Process::Stderr() const {
  return ReadFile(OutputFile(folder_, pid_, "err")).value_or("");
}

absl::StatusOr<Endpoints> Process::WaitForEndpoints(const std::string& state_dir,
                                                    absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const absl::StatusOr<std::string> text = ReadFile(state_dir + "/endpoints.json");
    const auto json = nlohmann::json::parse(text.value_or(""), nullptr, /*allow_exceptions=*/false);
    // One that died before may have left its file.
    if (json.is_object() && json.value("pid", 0) == pid_) {
      return Endpoints{json.value("address", ""), json.value("metrics", "")};
    }
    if (Wait(kPoll)) return absl::AbortedError(absl::StrCat("it has ended: ", Stderr()));
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("no endpoints.json: ", Stderr()));
    }
  }
}

}  // namespace tandem::integration
