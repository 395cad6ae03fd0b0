#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace tandem::cli {

/// A process of a run.
struct ChildSpec {
  std::string member;             ///< Its name among the others, such as "actor-0".
  std::vector<std::string> argv;  ///< argv[0] is the path of the binary.
  std::string log_path;           ///< Gets its standard output and error, appended.
  /// Set on top of this process's environment.
  std::vector<std::pair<std::string, std::string>> environment;
  /// Where not empty, the child is not restarted: its death ends the run, for this reason.
  std::string why_death_is_final;
};

/// When a dead child is started again.
struct RestartPolicy {
  absl::Duration first_pause = absl::Milliseconds(200);  ///< Doubles with each restart...
  absl::Duration max_pause = absl::Seconds(5);           ///< ...up to this...
  absl::Duration calm = absl::Seconds(30);  ///< ...and starts anew after so long a life.
  int max_restarts = 10;                    ///< Of one child within `window`.
  absl::Duration window = absl::Minutes(5);
};

/// Something that happened to a child; one line of events.jsonl.
struct ChildEvent {
  std::string member;
  std::string event;  ///< "started", "died" or "restarted".
  /// "exit code 1: no such file", with the last line of its log where it ended by itself; "signal 9
  /// (Killed)"; empty for starts.
  std::string reason;
  pid_t pid = 0;
  int restarts = 0;  ///< Of this child so far.
};

/// A child as it is now.
struct ChildState {
  std::string member;
  pid_t pid = 0;  ///< 0 while it is down.
  int restarts = 0;
  std::string last_death;  ///< As ChildEvent::reason; empty if it never died.
};

/// Exit code of a child that says "do not start me again": its command line or config is wrong.
inline constexpr int kUsageExitCode = 2;

/// Starts the processes of a run and keeps them alive. Each gets its own process group, and SIGTERM
/// when this process dies. Not thread-safe; one thread does everything, for Linux ties the
/// parent-death signal to the thread that forks. Kills what still runs when it is destroyed.
class Launcher {
 public:
  /// `clock` and what `on_event` refers to must outlive the launcher.
  Launcher(RestartPolicy policy, Clock* clock, std::function<void(const ChildEvent&)> on_event);
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  /// Starts a child. NOT_FOUND where there is no such binary; an error where it cannot start.
  absl::Status Start(ChildSpec spec);

  /// Reaps the dead and starts those again whose pause is over. Does not block; call it several
  /// times a second. ABORTED when a child is beyond help: the first line says which and why, the
  /// others are the end of its log; one line where it rejects its configuration.
  absl::Status Poll();

  /// SIGTERM to all, then SIGKILL to those still there after `grace`, or at once where `hurry()`
  /// turns true; then to whatever they left in their groups. Blocks. Returns the members that had
  /// to be killed.
  std::vector<std::string> StopAll(absl::Duration grace, const std::function<bool()>& hurry = {});

  std::vector<ChildState> children() const;
  int total_restarts() const;

 private:
  struct Child {
    ChildSpec spec;
    ChildState state;
    absl::Duration started_at;
    absl::Duration restart_at;
    absl::Duration pause;
    std::deque<absl::Duration> recent_restarts;
  };

  absl::Status Spawn(Child& child);
  absl::Status HandleDeath(Child& child, int wait_status);
  absl::Status Restart(Child& child);
  absl::Status BeyondHelp(const Child& child, const std::string& why) const;

  const RestartPolicy policy_;
  Clock* const clock_;
  const std::function<void(const ChildEvent&)> on_event_;
  std::vector<std::unique_ptr<Child>> children_;
};

/// The last `lines` lines of a file, without the newline at the end; empty where there is none.
/// What is not UTF-8 is replaced, so that JSON takes it.
std::string TailOfFile(const std::string& path, int lines);

/// What the last line of a log says, without time, level and process; at most 300 bytes. Empty
/// where the log is.
std::string LastWordsIn(const std::string& path);

/// What to tell people of a log: "its log, PATH, ends with", then its last lines; or that it is
/// empty.
std::string DescribeLog(const std::string& path);

}  // namespace tandem::cli
