#include "common/clients/environment_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/subprocess.h"
#include "common/clients/patience.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

constexpr size_t kMaxLine = 1024;
/// At a time, so that one that never stops writing holds up nothing; a pipe holds no more.
constexpr int kMaxReads = 16;
constexpr absl::Duration kGrace = absl::Seconds(3);
/// After so long a life the pauses begin anew.
constexpr absl::Duration kCalm = absl::Seconds(30);
/// Where the system has no pidfd.
constexpr int kDeathPollMs = 50;

/// Whether somebody takes connections at a socket file.
bool Accepts(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const bool accepts = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return accepts;
}

std::string SocketIn(const std::string& folder) { return folder + "/env.sock"; }

}  // namespace

EnvironmentProcess::EnvironmentProcess(Options options, std::string folder, int wake)
    : options_(std::move(options)),
      folder_(std::move(folder)),
      address_(absl::StrCat("unix:", SocketIn(folder_))),
      wake_(wake) {}

absl::StatusOr<std::unique_ptr<EnvironmentProcess>> EnvironmentProcess::Start(Options options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("expected a command, got none");
  const char* temporary = std::getenv("TMPDIR");
  std::string folder = absl::StrCat(
      temporary != nullptr && strlen(temporary) < 60 ? temporary : "/tmp", "/tandem-env-XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("make the folder ", folder));
  }
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) return ErrnoStatus(errno, "eventfd");
  std::unique_ptr<EnvironmentProcess> process(
      new EnvironmentProcess(std::move(options), std::move(folder), wake));
  EnvironmentProcess* const raw = process.get();
  raw->thread_ = std::thread([raw] { raw->Run(); });
  MutexLock lock(raw->mu_);
  while (!raw->started_) raw->changed_.Wait(raw->mu_);
  if (!raw->first_start_.ok()) return raw->first_start_;
  return process;
}

EnvironmentProcess::~EnvironmentProcess() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
  thread_.join();
  close(wake_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void EnvironmentProcess::Run() {
  rpc::Backoff backoff(kMaxPause);
  while (!stopping()) {
    const absl::Duration start = Clock::Real()->Monotonic();
    const absl::Status status = Spawn();
    {
      MutexLock lock(mu_);
      if (!started_) first_start_ = status;
      if (!started_ && !status.ok()) stopping_ = true;
      started_ = true;
    }
    changed_.NotifyAll();
    if (status.ok()) {
      Watch();
    } else {
      LogWarning(absl::StrCat("environment server: ", status.ToString()));
    }
    if (Clock::Real()->Monotonic() - start >= kCalm) backoff.Reset();
    if (!Pause(backoff.Next())) return;
  }
}

absl::Status EnvironmentProcess::Spawn() {
  unlink(SocketIn(folder_).c_str());
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  SubprocessOptions options{.argv = options_.argv,
                            .environment = options_.environment,
                            .output = ends[1],
                            .error = ends[1],
                            .parent_death_signal = SIGKILL};
  options.environment.emplace_back("TANDEM_ENV_LISTEN", address_);
  const absl::StatusOr<pid_t> pid = StartSubprocess(options);
  close(ends[1]);
  if (!pid.ok()) {
    close(ends[0]);
    return pid.status();
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  output_ = ends[0];
  // glibc 2.36 declares pidfd_open without extern "C".
  process_ = static_cast<int>(syscall(SYS_pidfd_open, *pid, 0));
  MutexLock lock(mu_);
  ++incarnation_;
  if (incarnation_ > 1) tail_.Add(absl::StrCat("--- start ", incarnation_, " ---"));
  pid_ = *pid;
  started_at_ = Clock::Real()->Monotonic();
  return absl::OkStatus();
}

/// Until the present one has ended; asks it to when this object goes.
void EnvironmentProcess::Watch() {
  absl::Duration kill_at = absl::InfiniteDuration();
  const pid_t group = pid();
  while (!Ended()) {
    pollfd files[] = {{output_, POLLIN, 0},
                      {process_, POLLIN, 0},
                      {kill_at == absl::InfiniteDuration() ? wake_ : -1, POLLIN, 0}};
    poll(files, 3, process_ < 0 || files[2].fd < 0 ? kDeathPollMs : -1);
    if (files[0].revents != 0) ReadOutput();
    const absl::Duration now = Clock::Real()->Monotonic();
    if (stopping() && kill_at == absl::InfiniteDuration()) {
      kill(-group, SIGTERM);
      kill_at = now + kGrace;
    }
    if (now >= kill_at) kill(-group, SIGKILL);
  }
  kill(-group, SIGKILL);  // whatever it left in its group, which is its own until it is reaped
  ClearUp();
  Reap();
  MutexLock lock(mu_);
  if (stopping_ || !options_.log_output) return;
  LogWarning(absl::StrCat("the environment server ended: ", last_death_));
}

/// Whether the present one has; its process and group remain until Reap().
bool EnvironmentProcess::Ended() const {
  siginfo_t info{};
  const int result = waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WNOHANG | WNOWAIT);
  return result == 0 && info.si_pid != 0;
}

/// Takes what is left of the output: whoever learns of the death then finds its last words.
void EnvironmentProcess::ClearUp() {
  ReadOutput();
  if (output_ >= 0) close(output_);
  if (process_ >= 0) close(process_);
  output_ = process_ = -1;
  if (!line_.empty()) TakeOutput("\n");
  PassOn(filter_.Flush());
  for (const std::string& line : limit_.Flush()) LogLine(line);
}

void EnvironmentProcess::Reap() {
  MutexLock lock(mu_);  // Kill() must not meet a pid that is free again
  int wait_status = 0;
  waitpid(pid_, &wait_status, 0);
  last_death_ = DescribeExit(wait_status);
  pid_ = 0;
  changed_.NotifyAll();
}

void EnvironmentProcess::ReadOutput() {
  char buffer[4096];
  for (int reads = 0; output_ >= 0 && reads < kMaxReads; ++reads) {
    const ssize_t got = read(output_, buffer, sizeof(buffer));
    if (got > 0) {
      TakeOutput({buffer, static_cast<size_t>(got)});
    } else if (got == 0) {  // it closed its output and may well run on
      close(output_);
      output_ = -1;
    } else if (errno != EINTR) {
      return;
    }
  }
}

void EnvironmentProcess::TakeOutput(std::string_view bytes) {
  for (const char byte : bytes) {
    const bool ends = byte == '\n' || byte == '\r';  // a progress bar writes many lines as one
    if (!ends) line_.push_back(byte);
    if (!ends && line_.size() < kMaxLine) continue;
    PassOn(filter_.Add(Printable(std::exchange(line_, {}))));
  }
}

void EnvironmentProcess::LogLine(const std::string& line) const {
  if (options_.log_output) LogInfo(absl::StrCat("environment server: ", line));
}

void EnvironmentProcess::PassOn(std::vector<std::string> lines) {
  for (std::string& line : lines) {
    for (const std::string& passed : limit_.Add(line, Clock::Real()->Monotonic())) LogLine(passed);
    MutexLock lock(mu_);
    tail_.Add(std::move(line));
  }
}

bool EnvironmentProcess::Pause(absl::Duration pause) {
  if (stopping()) return false;
  pollfd file{wake_, POLLIN, 0};
  poll(&file, 1, static_cast<int>(absl::ToInt64Milliseconds(pause)));
  return !stopping();
}

bool EnvironmentProcess::stopping() const {
  MutexLock lock(mu_);
  return stopping_;
}

uint64_t EnvironmentProcess::incarnation() const {
  MutexLock lock(mu_);
  return incarnation_;
}

pid_t EnvironmentProcess::pid() const {
  MutexLock lock(mu_);
  return pid_;
}

bool EnvironmentProcess::Dead(uint64_t incarnation) const {
  return AwaitDeath(incarnation, absl::ZeroDuration());
}

bool EnvironmentProcess::AwaitDeath(uint64_t incarnation, absl::Duration timeout) const {
  const auto deadline = After(timeout);
  MutexLock lock(mu_);
  const auto dead = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return incarnation_ != incarnation || pid_ == 0;
  };
  while (!dead() && changed_.WaitUntil(mu_, deadline)) {
  }
  return dead();
}

absl::StatusOr<uint64_t> EnvironmentProcess::AwaitListening(absl::Duration timeout,
                                                            const std::function<bool()>& stopped) {
  const absl::Duration called = Clock::Real()->Monotonic();
  const uint64_t awaited = incarnation() + (Dead(incarnation()) ? 1 : 0);
  for (;;) {
    const uint64_t present = incarnation();
    if (!Dead(present) && Accepts(SocketIn(folder_)) && !Dead(present)) return present;
    if (stopped()) return absl::CancelledError("the client was stopped");
    if (present > awaited || (present == awaited && Dead(present))) {
      return absl::UnavailableError(absl::StrCat("it ended: ", LastWords()));
    }
    if (Clock::Real()->Monotonic() >= ListenBy(awaited, called, timeout)) {
      Kill(awaited);
      return absl::DeadlineExceededError(
          absl::StrCat("it does not listen at ", address_, " after ", absl::FormatDuration(timeout),
                       " (a server takes its address from TANDEM_ENV_LISTEN): ", LastWords()));
    }
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(kStopPoll));
  }
}

absl::Duration EnvironmentProcess::ListenBy(uint64_t awaited, absl::Duration called,
                                            absl::Duration timeout) const {
  MutexLock lock(mu_);
  // One that cannot even be started is not waited for without end.
  if (incarnation_ < awaited) return called + kMaxPause + timeout;
  return std::max(called, started_at_) + timeout;
}

void EnvironmentProcess::Kill(uint64_t incarnation) {
  MutexLock lock(mu_);
  if (incarnation_ == incarnation && pid_ != 0) kill(-pid_, SIGKILL);
}

std::string EnvironmentProcess::LastWords() const {
  MutexLock lock(mu_);
  const std::string tail = tail_.Text();
  // It ended well, but a server goes on.
  const char* hint = last_death_ == DescribeExit(0) ? " (does it call tandem_env.serve?)" : "";
  return absl::StrCat(
      last_death_.empty() ? "" : absl::StrCat("last death: ", last_death_, hint, "; "),
      tail.empty() ? "it wrote nothing" : absl::StrCat("its last lines are\n", tail));
}

}  // namespace tandem::clients
