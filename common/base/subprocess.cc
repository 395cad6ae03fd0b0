#include "common/base/subprocess.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

extern char** environ;

namespace tandem {
namespace {

std::vector<std::string> MergedEnvironment(const SubprocessOptions& options) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : options.environment) variables[name] = value;
  std::vector<std::string> merged;
  for (const auto& [name, value] : variables) merged.push_back(absl::StrCat(name, "=", value));
  return merged;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  for (const auto folder : absl::StrSplit(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    const std::string file = absl::StrCat(folder, "/", name);
    if (!folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  }
  return absl::NotFoundError(absl::StrCat("start ", name, ": no such program in PATH"));
}

/// What the child needs, made before the fork.
struct Prepared {
  const char* program;
  char* const* argv;
  char* const* environment;
  int null, output, error;  ///< output, error: -1 to leave it.
  int error_pipe;
  int death_signal;
  pid_t parent;
};

/// Runs in the child between fork and exec: async-signal-safe calls only. Writes errno to the pipe
/// when it fails.
[[noreturn]] void Exec(const Prepared& to) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, to.death_signal);
  if (getppid() != to.parent) _exit(1);  // the parent died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  dup2(to.null, STDIN_FILENO);
  if (to.output >= 0) dup2(to.output, STDOUT_FILENO);
  if (to.error >= 0) dup2(to.error, STDERR_FILENO);
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(to.program, to.argv, to.environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(to.error_pipe, &error, sizeof(error));
  _exit(127);
}

}  // namespace

absl::StatusOr<pid_t> StartSubprocess(const SubprocessOptions& options) {
  std::vector<std::string> arguments = options.argv;
  TANDEM_ASSIGN_OR_RETURN(const std::string program, FindProgram(arguments.at(0)));
  std::vector<std::string> variables = MergedEnvironment(options);
  const std::vector<char*> argv = Pointers(arguments), environment = Pointers(variables);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return ErrnoStatus(errno, "open /dev/null");
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
    const int error = errno;
    close(null);
    return ErrnoStatus(error, absl::StrCat("start ", program));
  }
  const Prepared prepared{
      program.c_str(), argv.data(),  environment.data(),          null,    options.output,
      options.error,   pipe_ends[1], options.parent_death_signal, getpid()};
  const pid_t pid = fork();
  if (pid == 0) Exec(prepared);
  const int fork_error = errno;
  close(null);
  close(pipe_ends[1]);
  int exec_error = 0;
  ssize_t got = 0;
  if (pid > 0) {
    setpgid(pid, pid);  // in both processes: whoever is first
    do {                // ends at once: exec closes the pipe
      got = read(pipe_ends[0], &exec_error, sizeof(exec_error));
    } while (got < 0 && errno == EINTR);
  }
  close(pipe_ends[0]);
  if (pid < 0) return ErrnoStatus(fork_error, absl::StrCat("fork for ", program));
  if (got > 0) {
    waitpid(pid, nullptr, 0);
    return ErrnoStatus(exec_error, absl::StrCat("start ", program));
  }
  return pid;
}

std::string DescribeExit(int wait_status) {
  if (WIFEXITED(wait_status)) return absl::StrCat("exit code ", WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  return absl::StrCat("signal ", number, " (", strsignal(number), ")");
}

}  // namespace tandem
