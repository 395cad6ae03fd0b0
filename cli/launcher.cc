#include "cli/launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/base/subprocess.h"
#include "common/base/utf8.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kStopPoll = absl::Milliseconds(20);
constexpr int kShownLogLines = 10;
constexpr size_t kMostWords = 300;

/// An end of its own making comes with the reason that the log gives for it.
std::string DescribeDeath(int wait_status, const std::string& log_path) {
  const bool own = WIFEXITED(wait_status) || WTERMSIG(wait_status) == SIGABRT;
  const std::string words = own ? LastWordsIn(log_path) : "";
  return absl::StrCat(DescribeExit(wait_status), words.empty() ? "" : ": ", words);
}

}  // namespace

std::string TailOfFile(const std::string& path, int lines) {
  constexpr std::streamoff kMostBytes = 16384;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kMostBytes));
  std::deque<std::string> kept;
  for (std::string line; std::getline(file, line);) {
    kept.push_back(line);
    if (static_cast<int>(kept.size()) > lines) kept.pop_front();
  }
  return ValidUtf8(absl::StrJoin(kept, "\n"));
}

std::string LastWordsIn(const std::string& path) {
  const std::string line = TailOfFile(path, 1);
  // "2026-01-31T12:00:00.000Z E actor-0 no such file"
  const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
  const bool logged = parts.size() == 4 && absl::EndsWith(parts[0], "Z") && parts[1].size() == 1;
  return CutText(logged ? parts[3] : line, kMostWords);
}

std::string DescribeLog(const std::string& path) {
  const std::string tail = TailOfFile(path, kShownLogLines);
  return absl::StrCat("its log, ", path,
                      tail.empty() ? ", is empty" : absl::StrCat(", ends with\n", tail));
}

Launcher::Launcher(RestartPolicy policy, Clock* clock,
                   std::function<void(const ChildEvent&)> on_event)
    : policy_(policy), clock_(clock), on_event_(std::move(on_event)) {}

Launcher::~Launcher() { StopAll(absl::ZeroDuration()); }

absl::Status Launcher::Start(ChildSpec spec) {
  auto child = std::make_unique<Child>();
  child->state.member = spec.member;
  child->spec = std::move(spec);
  child->pause = policy_.first_pause;
  TANDEM_RETURN_IF_ERROR(Spawn(*child));
  on_event_({child->state.member, "started", "", child->state.pid, 0});
  children_.push_back(std::move(child));
  return absl::OkStatus();
}

absl::Status Launcher::Spawn(Child& child) {
  const int log =
      open(child.spec.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return ErrnoStatus(errno, absl::StrCat("open ", child.spec.log_path));
  const absl::StatusOr<pid_t> pid = StartSubprocess({.argv = child.spec.argv,
                                                     .environment = child.spec.environment,
                                                     .output = log,
                                                     .error = log});
  close(log);
  if (!pid.ok()) return pid.status();
  child.state.pid = *pid;
  child.started_at = clock_->Monotonic();
  return absl::OkStatus();
}

absl::Status Launcher::Poll() {
  for (const std::unique_ptr<Child>& child : children_) {
    if (child->state.pid != 0) {
      int wait_status = 0;
      if (waitpid(child->state.pid, &wait_status, WNOHANG) == child->state.pid) {
        TANDEM_RETURN_IF_ERROR(HandleDeath(*child, wait_status));
      }
    } else if (clock_->Monotonic() >= child->restart_at) {
      TANDEM_RETURN_IF_ERROR(Restart(*child));
    }
  }
  return absl::OkStatus();
}

absl::Status Launcher::HandleDeath(Child& child, int wait_status) {
  const absl::Duration now = clock_->Monotonic();
  const pid_t pid = child.state.pid;
  kill(-pid, SIGKILL);  // whatever it left in its group
  child.state.pid = 0;
  child.state.last_death = DescribeDeath(wait_status, child.spec.log_path);
  on_event_({child.state.member, "died", child.state.last_death, pid, child.state.restarts});
  if (!child.spec.why_death_is_final.empty()) {
    return BeyondHelp(child, child.spec.why_death_is_final);
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kUsageExitCode) {
    return absl::AbortedError(absl::StrCat(
        child.state.member, " rejects its configuration: ", TailOfFile(child.spec.log_path, 1),
        "; its log is ", child.spec.log_path));
  }
  while (!child.recent_restarts.empty() && child.recent_restarts.front() < now - policy_.window) {
    child.recent_restarts.pop_front();
  }
  if (static_cast<int>(child.recent_restarts.size()) >= policy_.max_restarts) {
    return BeyondHelp(child, absl::StrCat("it was restarted ", policy_.max_restarts,
                                          " times within ", absl::FormatDuration(policy_.window)));
  }
  if (now - child.started_at >= policy_.calm) child.pause = policy_.first_pause;
  child.restart_at = now + child.pause;
  child.pause = std::min(child.pause * 2, policy_.max_pause);
  return absl::OkStatus();
}

absl::Status Launcher::Restart(Child& child) {
  TANDEM_RETURN_IF_ERROR(Spawn(child));
  ++child.state.restarts;
  child.recent_restarts.push_back(child.started_at);
  on_event_({child.state.member, "restarted", child.state.last_death, child.state.pid,
             child.state.restarts});
  return absl::OkStatus();
}

absl::Status Launcher::BeyondHelp(const Child& child, const std::string& why) const {
  return absl::AbortedError(absl::StrCat(child.state.member, " died (", child.state.last_death,
                                         "): ", why, "; ", DescribeLog(child.spec.log_path)));
}

std::vector<std::string> Launcher::StopAll(absl::Duration grace,
                                           const std::function<bool()>& hurry) {
  const absl::Duration deadline = Clock::Real()->Monotonic() + grace;
  for (const auto& child : children_) {
    if (child->state.pid != 0 && grace > absl::ZeroDuration()) kill(child->state.pid, SIGTERM);
  }
  std::vector<std::string> killed;
  while (true) {
    const bool now_or_never = Clock::Real()->Monotonic() >= deadline || (hurry && hurry());
    bool any = false;
    for (const auto& child : children_) {
      const pid_t pid = child->state.pid;
      if (pid == 0) continue;
      if (now_or_never) kill(-pid, SIGKILL);
      int wait_status = 0;
      if (waitpid(pid, &wait_status, now_or_never ? 0 : WNOHANG) == pid) {
        if (now_or_never && WIFSIGNALED(wait_status)) killed.push_back(child->state.member);
        kill(-pid, SIGKILL);
        child->state.pid = 0;
      } else {
        any = true;
      }
    }
    if (!any) break;
    absl::SleepFor(kStopPoll);
  }
  children_.clear();
  return killed;
}

std::vector<ChildState> Launcher::children() const {
  std::vector<ChildState> states;
  for (const auto& child : children_) states.push_back(child->state);
  return states;
}

int Launcher::total_restarts() const {
  int total = 0;
  for (const auto& child : children_) total += child->state.restarts;
  return total;
}

}  // namespace tandem::cli
