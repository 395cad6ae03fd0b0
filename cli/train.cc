#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cli/commands.h"
#include "cli/launcher.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/run_folder.h"
#include "cli/run_watch.h"
#include "cli/services.h"
#include "cli/troubles.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kLineInterval = absl::Seconds(1);
constexpr absl::Duration kWatchInterval = absl::Milliseconds(400);
/// How long the monitor may take to judge the last steps before the run is taken down.
constexpr absl::Duration kMonitorCatchUp = absl::Seconds(3);
constexpr absl::Duration kKillAfterDrain = absl::Seconds(2);
/// A run without a step after so long a time has failed to start.
constexpr absl::Duration kFirstStepPatience = absl::Seconds(120);

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

/// Waits up to `timeout` for a signal that asks to stop; they are blocked in every thread.
bool StopSignalWithin(absl::Duration timeout) {
  const sigset_t set = StopSignals();
  const timespec wait = absl::ToTimespec(timeout);
  return sigtimedwait(&set, nullptr, &wait) > 0;
}

/// One run from its first process to its report. Used once, by one thread.
class Training {
 public:
  Training(const TrainOptions& options, config::v1::RunConfig config,
           std::unique_ptr<RunFolder> folder)
      : options_(options),
        config_(std::move(config)),
        folder_(std::move(folder)),
        start_(Clock::Real()->Monotonic()),
        progress_(config_.stop().max_env_steps()),
        launcher_(RestartPolicy(), Clock::Real(), [this](const ChildEvent& e) { OnEvent(e); }) {}

  int Run() {
    const absl::Status status = StartAll();
    result_.outcome = "failed";
    if (status.ok()) {
      if (!folder_->taken().empty()) {
        Say(absl::StrCat(folder_->taken(), " exists: a new run begins in ", folder_->name()));
      }
      Say(absl::StrCat("run folder: ", folder_->path()));
      Supervise();
    } else {
      result_.reason = std::string(status.message());
    }
    return Finish();
  }

 private:
  absl::Duration Elapsed() const { return Clock::Real()->Monotonic() - start_; }

  /// A line for people: on standard error where standard output is for machines.
  void Say(const std::string& line) const {
    std::FILE* out = options_.json ? stderr : stdout;
    std::fprintf(out, "%s\n", line.c_str());
    std::fflush(out);
  }

  /// Says once where the monitor serves its page.
  void SayDashboard() {
    if (said_dashboard_) return;
    const nlohmann::json endpoints = ReadJsonFile(folder_->StateOf("monitor") + "/endpoints.json");
    const std::string address = endpoints.is_object() ? endpoints.value("dashboard", "") : "";
    if (address.empty()) return;
    said_dashboard_ = true;
    const std::string& wanted = config_.monitor().dashboard();
    const bool elsewhere = !absl::EndsWith(wanted, ":0") && wanted != address;
    Say(absl::StrCat("dashboard: http://", address, "/",
                     elsewhere ? absl::StrCat(" (the port of ", wanted, " is taken)") : ""));
  }

  absl::Status StartAll() {
    TANDEM_RETURN_IF_ERROR(DescribeRun(*folder_, config_, options_.command));
    for (const Member& member : MembersOf(config_)) {
      TANDEM_RETURN_IF_ERROR(launcher_.Start(SpecFor(member, *folder_, config_, BinaryFolder())));
    }
    watch_ = std::make_unique<RunWatch>(ConnectReplay(folder_->AddressOf("replay_buffer")),
                                        ConnectMonitor(folder_->AddressOf("monitor")),
                                        ConnectMembers(ReadJsonFile(folder_->File("run.json"))),
                                        kWatchInterval);
    return disk_;
  }

  /// Runs until the run is over, fails or is interrupted; sets result_.
  void Supervise() {
    absl::Duration next_line = Elapsed() + kLineInterval;
    std::optional<absl::Duration> stopped_at;
    while (true) {
      if (StopSignalWithin(kTick)) {
        result_.outcome = "interrupted";
        result_.reason = "asked to stop";
        return;
      }
      absl::Status status = launcher_.Poll();
      if (status.ok()) status = disk_;
      const RunFigures figures = watch_->Latest();
      stepped_ = stepped_ || (figures.replay.has_value() && figures.replay->env_steps > 0);
      trained_ = trained_ || (stepped_ && figures.replay->policy_updates > 0);
      if (status.ok()) status = CheckFirstStep(figures);
      const bool stopped = figures.replay.has_value() && figures.replay->stopped;
      if (stopped && !stopped_at.has_value()) stopped_at = Elapsed();
      const bool over = stopped && (Judged(figures) || Elapsed() - *stopped_at > kMonitorCatchUp);
      if (Elapsed() >= next_line || over) {
        SayDashboard();
        if (status.ok()) status = SayTroubles(figures.troubles);
        next_line += kLineInterval;
        if (status.ok()) status = Report(figures);
      }
      if (!status.ok()) {
        result_.reason = std::string(status.message());
        return;
      }
      if (over) {
        result_.outcome = "done";
        result_.reason = figures.replay->stop_reason;
        return;
      }
    }
  }

  /// Tells of the members' troubles, and notes the new ones as events. Before the first step, the
  /// line of progress has them all the time.
  absl::Status SayTroubles(const TroubleMap& troubles) {
    troubles_ = troubles;
    if (!stepped_) return absl::OkStatus();
    for (const TroubleTeller::News& news : teller_.Tell(troubles, Elapsed())) {
      Say(news.line);
      if (news.begins) TANDEM_RETURN_IF_ERROR(NoteTrouble(news.member, news.trouble));
    }
    return absl::OkStatus();
  }

  absl::Status NoteTrouble(const std::string& member, const std::string& trouble) const {
    return folder_->AppendLine("events.jsonl",
                               {{"time", TimeText()},
                                {"elapsed_seconds", absl::ToDoubleSeconds(Elapsed())},
                                {"event", "in trouble"},
                                {"member", member},
                                {"reason", trouble}});
  }

  /// DEADLINE_EXCEEDED where the run should have taken a step by now: what is waited for, then the
  /// end of the log of who is silent.
  absl::Status CheckFirstStep(const RunFigures& figures) const {
    if (stepped_ || Elapsed() < kFirstStepPatience) return absl::OkStatus();
    for (const auto& [member, trouble] : figures.troubles) {
      TANDEM_RETURN_IF_ERROR(NoteTrouble(member, trouble));
    }
    const std::string member = SilentMember(figures);
    return absl::DeadlineExceededError(
        absl::StrCat("the run has not taken its first step, ", StartingLine(figures, Elapsed()),
                     "; ", member, " is silent; ", DescribeLog(folder_->LogOf(member))));
  }

  /// Whether the monitor's figures cover the last step.
  static bool Judged(const RunFigures& figures) {
    return figures.monitor.has_value() && figures.monitor_error.empty() &&
           figures.monitor->env_steps() >= figures.replay->env_steps;
  }

  /// Prints and stores the figures, and the evaluations that are new.
  absl::Status Report(const RunFigures& figures) {
    if (figures.replay.has_value()) {
      const std::vector<EvaluationResult>& all = figures.replay->evaluations;
      for (const EvaluationResult& evaluation : all) {
        if (evaluation.env_steps <= last_evaluation_) continue;
        last_evaluation_ = evaluation.env_steps;
        evaluations_.push_back(evaluation);
        TANDEM_RETURN_IF_ERROR(
            folder_->AppendLine("metrics.jsonl", EvaluationRecord(evaluation, Elapsed())));
        if (!options_.json) Say(EvaluationLine(evaluation));
      }
    }
    const nlohmann::json record = progress_.Record(figures, Elapsed(), launcher_.total_restarts());
    sentence_ = record["verdict_sentence"].is_string() ? record["verdict_sentence"] : "";
    TANDEM_RETURN_IF_ERROR(folder_->AppendLine("metrics.jsonl", record));
    if (options_.json) {
      std::printf("%s\n",
                  record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
      std::fflush(stdout);
    } else {
      Say(stepped_ ? ProgressLine(record) : StartingLine(figures, Elapsed()));
    }
    return absl::OkStatus();
  }

  void OnEvent(const ChildEvent& event) {
    const absl::Status status =
        folder_->AppendLine("events.jsonl", {{"time", TimeText()},
                                             {"elapsed_seconds", absl::ToDoubleSeconds(Elapsed())},
                                             {"event", event.event},
                                             {"member", event.member},
                                             {"reason", event.reason},
                                             {"pid", event.pid},
                                             {"restarts", event.restarts}});
    if (!status.ok()) disk_ = status;
    if (event.event == "restarted") {
      Say(absl::StrCat(event.member, " died (", event.reason, ") and was started again, restart ",
                       event.restarts));
    }
  }

  int Finish() {
    result_.wall_seconds = absl::ToDoubleSeconds(Elapsed());
    result_.restarts = launcher_.total_restarts();
    if (result_.outcome == "interrupted") {
      Say("interrupted: the services finish what they do (again: kill at once)");
    }
    watch_.reset();
    absl::Status written = WriteResult();  // before they end: the dashboard tells who looks on
    const absl::Duration grace = absl::Seconds(config_.runtime().drain_seconds()) + kKillAfterDrain;
    bool asked = false;
    const auto hurry = [&asked] { return asked |= StopSignalWithin(absl::ZeroDuration()); };
    for (const std::string& member : launcher_.StopAll(grace, hurry)) {
      Say(absl::StrCat(member,
                       asked ? " was killed, as asked" : " did not end in time and was killed"));
    }
    if (written.ok()) {
      written = folder_->Write("report.html", ReportHtml(folder_->path(), config_, result_));
    }
    if (trained_ || result_.outcome != "failed") SaySummary(written);  // else the error says it all
    if (result_.outcome == "interrupted") return kInterrupted;
    if (result_.outcome == "failed") return Fail(absl::AbortedError(result_.reason));
    return written.ok() ? kDone : Fail(written);
  }

  absl::Status WriteResult() const { return folder_->WriteJson("result.json", ToJson(result_)); }

  void SaySummary(const absl::Status& written) const {
    if (result_.outcome != "failed") Say(absl::StrCat(result_.outcome, ": ", result_.reason));
    if (!sentence_.empty()) Say(absl::StrCat("verdict: ", sentence_));
    if (!evaluations_.empty())
      Say(absl::StrFormat("%11s  %11s  %8s", "env steps", "mean return", "episodes"));
    for (const EvaluationResult& evaluation : evaluations_) {
      Say(absl::StrFormat("%11d  %11.1f  %8d", evaluation.env_steps, evaluation.mean_return,
                          evaluation.episodes));
    }
    SayThePolicy();
    if (written.ok()) Say(absl::StrCat("report: ", folder_->File("report.html")));
    if (result_.outcome != "done") {
      Say("this run cannot be continued, as its experience was in memory: `tandem train` begins "
          "anew");
    }
  }

  /// Where the policy is; one that was trained and not saved is worth a line, too.
  void SayThePolicy() const {
    const std::string policy = PolicyOf(folder_->path());
    if (!policy.empty()) Say(absl::StrCat("policy: ", policy));
    if (!trained_) return;
    const auto trouble = troubles_.find("policy_trainer");
    const std::string why =
        trouble == troubles_.end()
            ? ""
            : std::string(absl::StripPrefix(trouble->second, "no checkpoint is written: "));
    if (policy.empty()) {
      Say(absl::StrCat("no policy was saved: ",
                       why.empty() ? "its trainer ended before it could be" : why));
    } else if (!why.empty()) {
      Say(absl::StrCat("the policy that was saved is an older one: ", why));
    }
  }

  const TrainOptions& options_;
  const config::v1::RunConfig config_;
  const std::unique_ptr<RunFolder> folder_;
  const absl::Duration start_;
  Progress progress_;
  absl::Status disk_;  ///< The first error of the run folder.
  std::string sentence_;
  std::vector<EvaluationResult> evaluations_;
  int64_t last_evaluation_ = -1;
  TroubleTeller teller_;
  TroubleMap troubles_;   ///< As last known.
  bool stepped_ = false;  ///< Whether the run has taken an environment step...
  bool trained_ = false;  ///< ...and its policy an update.
  bool said_dashboard_ = false;
  RunResult result_;
  Launcher launcher_;
  std::unique_ptr<RunWatch> watch_;
};

/// cores: 0: all that this process may use.
absl::Status ApplyCores(int cores, config::v1::RunConfig* config) {
  if (cores > 0) TANDEM_RETURN_IF_ERROR(UseCores(cores));
  if (!config->runtime().has_threads()) {
    config->mutable_runtime()->set_threads(ThreadsFor(UsableCores(), config->pace().mode()));
  }
  return absl::OkStatus();
}

}  // namespace

std::string BinaryFolder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

int Train(const TrainOptions& options) {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);  // `tandem train | head` trains on
  absl::StatusOr<config::v1::RunConfig> config = LoadForTraining(options.recipe, options.overrides);
  if (!config.ok()) return Fail(config.status(), kUsage);
  if (const absl::Status status = ApplyCores(options.cores, &*config); !status.ok()) {
    return Fail(status, kUsage);
  }
  const std::string path =
      options.run_dir.empty() ? absl::StrCat("runs/", config->run().name()) : options.run_dir;
  const bool fail =
      options.on_exist.empty() ? !options.run_dir.empty() : options.on_exist == "fail";
  absl::StatusOr<std::unique_ptr<RunFolder>> folder =
      RunFolder::Create(path, fail ? OnExist::kFail : OnExist::kNew);
  if (!folder.ok()) return Fail(folder.status());
  if (options.run_dir.empty()) config->mutable_run()->set_name((*folder)->name());
  if (!config->monitor().has_dashboard()) {
    config->mutable_monitor()->set_dashboard("127.0.0.1:0");
  }
  return Training(options, *std::move(config), *std::move(folder)).Run();
}

}  // namespace tandem::cli
