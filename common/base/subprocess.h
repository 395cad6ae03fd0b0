#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem {

/// A program to be started.
struct SubprocessOptions {
  std::vector<std::string> argv;  ///< argv[0]: a path, or a name that is looked up in PATH.
  /// Set on top of this process's environment.
  std::vector<std::pair<std::string, std::string>> environment;
  int output = -1;  ///< Open file that becomes its standard output; -1: that of this process.
  int error = -1;   ///< The same for its standard error.
  int parent_death_signal = SIGTERM;  ///< What it gets when this process dies.
};

/// Starts a program in a process group of its own, with an empty standard input, no signal blocked
/// and no other file of this process open. Returns its pid, which the caller reaps. Blocks until
/// the program runs. NOT_FOUND where there is no such program; else the system's error.
///
/// Linux sends the parent-death signal when the *thread* that called this ends: let it be one that
/// lives as long as the child. Thread-safe.
absl::StatusOr<pid_t> StartSubprocess(const SubprocessOptions& options);

/// "exit code 1" or "signal 9 (Killed)", from what waitpid gave.
std::string DescribeExit(int wait_status);

}  // namespace tandem
