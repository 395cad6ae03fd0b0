#include "tests/integration/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/files.h"

namespace tandem::integration {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(5);

std::string OutputFile(const std::string& folder, pid_t pid, const char* stream) {
  return absl::StrCat(folder, "/", pid, ".", stream);
}

/// In the child, between fork and exec: async-signal-safe calls only. The output files get their
/// names from the parent, once it knows the pid.
[[noreturn]] void Exec(char* const* argv, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  execv(argv[0], argv);
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Process>> Process::Start(std::vector<std::string> argv,
                                                        const std::string& folder) {
  if (access(argv.at(0).c_str(), X_OK) != 0) return ErrnoStatus(errno, argv[0]);
  std::vector<char*> pointers;
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  const std::string out = folder + "/new.out", err = folder + "/new.err";
  const int flags = O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC;
  const int out_fd = open(out.c_str(), flags, 0600), err_fd = open(err.c_str(), flags, 0600);
  if (out_fd < 0 || err_fd < 0) return ErrnoStatus(errno, folder);
  const pid_t pid = fork();
  if (pid == 0) Exec(pointers.data(), out_fd, err_fd);
  const int error = errno;
  close(out_fd);
  close(err_fd);
  if (pid < 0) return ErrnoStatus(error, "fork");
  rename(out.c_str(), OutputFile(folder, pid, "out").c_str());
  rename(err.c_str(), OutputFile(folder, pid, "err").c_str());
  return std::unique_ptr<Process>(new Process(pid, folder));
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
