#include <signal.h>

#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/run_folder.h"
#include "cli/run_watch.h"

namespace tandem::cli {
namespace {

using Json = nlohmann::json;

/// What events.jsonl says of one member.
struct MemberHistory {
  int restarts = 0;
  std::string last_death;
};

std::map<std::string, MemberHistory> Histories(const std::string& run_path) {
  std::map<std::string, MemberHistory> histories;
  for (const Json& event : ReadJsonLines(run_path + "/events.jsonl")) {
    MemberHistory& history = histories[event.value("member", "")];
    history.restarts = event.value("restarts", 0);
    if (event.value("event", "") == "died") history.last_death = event.value("reason", "");
  }
  return histories;
}

void PrintMembers(const std::string& run_path, const Json& run, bool alive) {
  const std::map<std::string, MemberHistory> histories = Histories(run_path);
  for (const Json& member : run.value("members", Json::array())) {
    const std::string name = member.value("name", "");
    const Json endpoints = ReadJsonFile(absl::StrCat(run_path, "/state/", name, "/endpoints.json"));
    const pid_t pid = endpoints.is_object() ? endpoints.value("pid", 0) : 0;
    const bool up = alive && pid > 0 && kill(pid, 0) == 0;
    std::string line = absl::StrFormat("  %-16s %-5s", name, up ? "up" : "down");
    if (up) {
      absl::StrAppendFormat(&line, " pid %-8d", pid);
      const std::string metrics = endpoints.value("metrics", "");
      if (!metrics.empty()) absl::StrAppend(&line, "  metrics http://", metrics, "/metrics");
    }
    const auto history = histories.find(name);
    if (history != histories.end() && !history->second.last_death.empty()) {
      absl::StrAppend(&line, "  restarted ", history->second.restarts,
                      history->second.restarts == 1 ? " time" : " times",
                      ", last death: ", history->second.last_death);
    }
    std::cout << line << "\n";
  }
}

std::string AddressOf(const Json& run, const std::string& name) {
  for (const Json& member : run.value("members", Json::array())) {
    if (member.value("name", "") == name) return member.value("address", "");
  }
  return "";
}

/// The figures of the services that answer now.
void PrintLive(const Json& run, int64_t max_env_steps) {
  RunFigures figures;
  const auto replay = ConnectReplay(AddressOf(run, "replay_buffer"));
  const auto monitor = ConnectMonitor(AddressOf(run, "monitor"));
  Refresh(*replay, *monitor, &figures);
  if (!figures.replay.has_value()) {
    std::cout << "the replay buffer does not answer: " << figures.replay_error << "\n";
    return;
  }
  std::cout << ProgressLine(Progress(max_env_steps).Record(figures, absl::ZeroDuration(), 0))
            << "\n";
  const ReplayStatus& status = *figures.replay;
  std::cout << absl::StrFormat(
      "held: %d steps to train on, %d to validate with; %d episodes; %d policy updates; the model "
      "has "
      "seen steps below %d of %d\n",
      status.train_steps, status.holdout_steps, status.episodes, status.policy_updates,
      status.model_through_index, status.end_index);
  for (const auto& [side, reason] : status.waiting_for) {
    std::cout << side << " waits: " << reason << "\n";
  }
  if (status.waiting_for.empty()) std::cout << "no side waits\n";
  if (figures.monitor.has_value()) {
    std::cout << "verdict: " << figures.monitor->sentence() << "\n";
  } else {
    std::cout << "the monitor does not answer: " << figures.monitor_error << "\n";
  }
}

/// What a run that is over left behind.
void PrintEnd(const std::string& run_path) {
  Json last;
  for (Json& record : ReadJsonLines(run_path + "/metrics.jsonl")) {
    if (record.value("kind", "") == "progress") last = std::move(record);
  }
  if (last.is_object()) {
    std::cout << ProgressLine(last) << "\n";
    const std::string sentence = last.value("verdict_sentence", "");
    if (!sentence.empty()) std::cout << "verdict: " << sentence << "\n";
  }
  std::cout << "report: " << run_path << "/report.html\n";
}

}  // namespace

int ShowStatus(const std::string& parent, const std::string& run) {
  const absl::StatusOr<std::string> path = FindRun(parent, run);
  if (!path.ok()) return Fail(path.status());
  const Json about = ReadJsonFile(*path + "/run.json");
  if (!about.is_object()) {
    return Fail(absl::DataLossError(*path + "/run.json is not readable as JSON"));
  }
  const bool alive = RunIsAlive(*path);
  const Json result = ReadJsonFile(*path + "/result.json");
  std::string state = alive ? "training" : "ended without a result";
  if (!alive && result.is_object()) {
    state = absl::StrCat(result.value("outcome", ""), ": ", result.value("reason", ""));
  }
  std::cout << about.value("name", "") << " in " << *path << "\n" << state;
  if (alive) {
    const absl::Duration age =
        absl::Now() - absl::FromUnixSeconds(about.value("started_unix", int64_t{0}));
    std::cout << " for " << ShortDuration(age) << ", process " << about.value("pid", 0);
  }
  std::cout << "\n";
  PrintMembers(*path, about, alive);
  if (alive) {
    int64_t max_env_steps = 0;
    for (const Json& record : ReadJsonLines(*path + "/metrics.jsonl")) {
      max_env_steps = record.value("max_env_steps", max_env_steps);
    }
    PrintLive(about, max_env_steps);
  } else {
    PrintEnd(*path);
  }
  return kDone;
}

}  // namespace tandem::cli
