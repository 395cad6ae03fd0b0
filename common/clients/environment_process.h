#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/clients/environment_output.h"

namespace tandem::clients {

/// A program that serves environments to this process alone, at a Unix socket in a private folder
/// whose address it finds in TANDEM_ENV_LISTEN. It is started again whenever it dies, with pauses
/// that grow from 0.1 s to 30 s, and killed with everything in its process group when this object
/// goes. Where this process dies, it is killed alone: what it has started itself must notice that
/// on its own. What it writes goes, line by line and thinned out, to this process's log.
///
/// Thread-safe. A thread of its own starts, watches and reads the program.
class EnvironmentProcess {
 public:
  struct Options {
    std::vector<std::string> argv;  ///< argv[0]: a path, or a name that is looked up in PATH.
    /// Set on top of this process's environment and TANDEM_ENV_LISTEN.
    std::vector<std::pair<std::string, std::string>> environment;
    bool log_output = true;  ///< Else what it writes is for LastWords() alone.
  };
  /// Returns when the program runs; it may not listen yet. NOT_FOUND where there is no such
  /// program; else the system's error.
  static absl::StatusOr<std::unique_ptr<EnvironmentProcess>> Start(Options options);
  /// SIGTERM, and SIGKILL to the group after 3 s.
  ~EnvironmentProcess();
  EnvironmentProcess(const EnvironmentProcess&) = delete;
  EnvironmentProcess& operator=(const EnvironmentProcess&) = delete;

  /// Where it listens, "unix:/..."; the same after a restart.
  const std::string& address() const { return address_; }
  /// How often it was started so far, >= 1: the number of the present one.
  uint64_t incarnation() const;
  /// Of the present one; 0 while there is none.
  pid_t pid() const;
  /// Whether this one has ended.
  bool Dead(uint64_t incarnation) const;
  /// Waits until this one has ended, at most `timeout`; whether it has.
  bool AwaitDeath(uint64_t incarnation, absl::Duration timeout) const;
  /// Waits until one takes connections, and returns its number. DEADLINE_EXCEEDED where one does
  /// not within `timeout`, not counting the pause before its start: it is then killed as hung.
  /// UNAVAILABLE where the present one, or the next where there is none, ends first; CANCELLED once
  /// `stopped` says so, which is asked every 20 ms. All with the last lines that were written.
  absl::StatusOr<uint64_t> AwaitListening(absl::Duration timeout,
                                          const std::function<bool()>& stopped);
  /// Kills this one, if it is the present one, as hung; the next comes soon.
  void Kill(uint64_t incarnation);
  /// For people: how the last one ended, where any has, and the last lines that were written.
  std::string LastWords() const;

 private:
  EnvironmentProcess(Options options, std::string folder, int wake);

  void Run();
  absl::Status Spawn();
  void Watch();
  void ReadOutput();
  void TakeOutput(std::string_view bytes);
  void PassOn(std::vector<std::string> lines);
  void LogLine(const std::string& line) const;
  bool Ended() const;
  void Reap();
  void ClearUp();
  bool Pause(absl::Duration pause);
  bool stopping() const;
  absl::Duration ListenBy(uint64_t awaited, absl::Duration called, absl::Duration timeout) const;

  const Options options_;
  const std::string folder_;
  const std::string address_;
  const int wake_;  // an eventfd: ends the thread's waits
  // The thread's own.
  int output_ = -1;   // reads what the present one writes
  int process_ = -1;  // pidfd; -1 where the system has none
  std::string line_;  // the unfinished one
  RepeatFilter filter_;
  LineLimit limit_;
  mutable Mutex mu_;
  mutable CondVar changed_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;  // the first start was tried
  absl::Status first_start_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t incarnation_ ABSL_GUARDED_BY(mu_) = 0;
  pid_t pid_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration started_at_ ABSL_GUARDED_BY(mu_);  // monotonic; of the present one
  std::string last_death_ ABSL_GUARDED_BY(mu_);
  OutputTail tail_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace tandem::clients
