#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::integration {

/// Where a service has said that it listens.
struct Endpoints {
  std::string address;
  std::string metrics;
};

/// A program started by a test. Its output goes to files in a folder that the test owns; the
/// destructor kills what still runs, and the system does when the test dies. Not thread-safe.
class Process {
 public:
  /// Starts argv[0] with the arguments after it. `folder` exists and outlives the object. The error
  /// of the system where the program cannot be started.
  static absl::StatusOr<std::unique_ptr<Process>> Start(std::vector<std::string> argv,
                                                        const std::string& folder);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int number);
  /// Waits until it has ended, at most `timeout`: its exit code, or 128 + the signal that ended it.
  /// nullopt when it still runs.
  std::optional<int> Wait(absl::Duration timeout);
  /// What it has written so far, to standard output and to standard error.
  std::string Stdout() const;
  std::string Stderr() const;
  /// Waits for state_dir/endpoints.json of this very process. DEADLINE_EXCEEDED, or ABORTED when it
  /// has ended; both with what it wrote to standard error.
  absl::StatusOr<Endpoints> WaitForEndpoints(const std::string& state_dir, absl::Duration timeout);

 private:
  Process(pid_t pid, std::string folder) : pid_(pid), folder_(std::move(folder)) {}

  const pid_t pid_;
  const std::string folder_;
  std::optional<int> exit_code_;
};

}  // namespace tandem::integration
