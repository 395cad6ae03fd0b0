#include <signal.h>

#include <filesystem>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/run_folder.h"
#include "cli/run_status.h"
#include "cli/run_watch.h"
#include "cli/troubles.h"

namespace tandem::cli {
namespace {

using Json = nlohmann::json;

/// It asks once: on a busy machine, who is slow to answer is not to look well.
constexpr absl::Duration kMemberTimeout = absl::Seconds(2);

/// What events.jsonl says of one member.
struct MemberHistory {
  int restarts = 0;
  std::string last_death;
};

std::map<std::string, MemberHistory> Histories(const std::string& run_path) {
  std::map<std::string, MemberHistory> histories;
  for (const Json& event : ReadJsonLines(run_path + "/events.jsonl")) {
    MemberHistory& history = histories[event.value("member", "")];
    history.restarts = event.value("restarts", history.restarts);
    if (event.value("event", "") == "died") history.last_death = event.value("reason", "");
  }
  return histories;
}

/// The processes of the run: name, whether it is up, where its metrics are, what happened to it.
Json MembersJson(const std::string& run_path, const Json& run, bool alive) {
  const std::map<std::string, MemberHistory> histories = Histories(run_path);
  Json members = Json::array();
  for (const Json& member : run.value("members", Json::array())) {
    const std::string name = member.value("name", "");
    const Json endpoints = ReadJsonFile(absl::StrCat(run_path, "/state/", name, "/endpoints.json"));
    const pid_t pid = endpoints.is_object() ? endpoints.value("pid", 0) : 0;
    const bool up = alive && pid > 0 && kill(pid, 0) == 0;
    Json about = {{"name", name}, {"up", up}, {"restarts", 0}, {"last_death", ""}};
    if (up) {
      about["pid"] = pid;
      for (const char* page : {"metrics", "dashboard"}) {
        const std::string address = endpoints.value(page, "");
        if (!address.empty()) about[page] = address;
      }
    }
    const auto history = histories.find(name);
    if (history != histories.end()) {
      about["restarts"] = history->second.restarts;
      about["last_death"] = history->second.last_death;
    }
    members.push_back(std::move(about));
  }
  return members;
}

/// alive: whether the run goes on, so that a member that is not up is missing.
void PrintMembers(const Json& members, bool alive) {
  for (const Json& member : members) {
    const bool up = member["up"];
    std::string line = absl::StrFormat("  %-16s %-5s", member["name"].get<std::string>(),
                                       up ? "up" : (alive ? "down" : "ended"));
    if (up) {
      absl::StrAppendFormat(&line, " pid %-8d", member["pid"].get<int>());
      const std::string metrics = member.value("metrics", "");
      if (!metrics.empty()) absl::StrAppend(&line, "  metrics http://", metrics, "/metrics");
    }
    const std::string last_death = member["last_death"];
    if (!last_death.empty()) {
      const int restarts = member["restarts"];
      absl::StrAppend(&line, "  restarted ", restarts, restarts == 1 ? " time" : " times",
                      ", last death: ", last_death);
    }
    std::cout << line << "\n";
  }
}

/// The figures of the services that answer now.
Json LiveJson(const Json& run, int64_t max_env_steps) {
  RunFigures figures;
  const auto replay = ConnectReplay(AddressIn(run, "replay_buffer"));
  const auto monitor = ConnectMonitor(AddressIn(run, "monitor"));
  const auto members = ConnectMembers(run, kMemberTimeout);
  Refresh(*replay, *monitor, *members, &figures);
  Json live = {{"replay_error", figures.replay_error},
               {"monitor_error", figures.monitor_error},
               {"troubles", figures.troubles}};
  if (figures.replay.has_value()) {
    live["figures"] = Progress(max_env_steps).Record(figures, absl::ZeroDuration(), 0);
  }
  if (figures.monitor.has_value()) live["judgement"] = JudgementJson(*figures.monitor);
  return live;
}

void PrintLive(const Json& status) {
  for (const auto& [member, trouble] : status["troubles"].items()) {
    std::cout << "in trouble: " << TroubleLine(member, trouble.get<std::string>()) << "\n";
  }
  if (!status.contains("figures")) {
    std::cout << "the replay buffer does not answer: " << status["replay_error"].get<std::string>()
              << "\n";
    return;
  }
  const Json& figures = status["figures"];
  const auto count = [&figures](const char* name) { return figures[name].get<int64_t>(); };
  std::cout << ProgressLine(figures) << "\n";
  std::cout << absl::StrFormat(
      "held: %d steps to train on, %d to validate with; %d episodes; %d policy updates; the model "
      "has seen steps below %d of %d\n",
      count("train_steps"), count("holdout_steps"), count("episodes"), count("policy_updates"),
      count("model_through_index"), count("end_index"));
  for (const auto& [side, reason] : figures["waiting_for"].items()) {
    std::cout << side << " waits: " << reason.get<std::string>() << "\n";
  }
  if (figures["waiting_for"].empty() && status["troubles"].empty()) {
    std::cout << "no side waits\n";
  }
  if (status.contains("judgement")) {
    std::cout << JudgementText(status["judgement"]);
  } else {
    std::cout << "the monitor does not answer: " << status["monitor_error"].get<std::string>()
              << "\n";
  }
}

/// The last record of a run that is over, which has nothing to wait for; null where there is none.
Json LastRecord(const std::string& run_path) {
  Json last;
  for (Json& record : ReadJsonLines(run_path + "/metrics.jsonl")) {
    if (record.value("kind", "") == "progress") last = std::move(record);
  }
  if (last.is_object()) last.erase("eta_seconds");
  return last;
}

void PrintEnd(const Json& status) {
  if (status["figures"].is_object()) {
    std::cout << ProgressLine(status["figures"]) << "\n";
    const std::string sentence = status["figures"].value("verdict_sentence", "");
    if (!sentence.empty()) std::cout << "verdict: " << sentence << "\n";
  }
  if (status["policy"].is_string()) {
    std::cout << "policy: " << status["policy"].get<std::string>() << "\n";
  }
  if (status["report"].is_string()) {
    std::cout << "report: " << status["report"].get<std::string>() << "\n";
  } else {
    std::cout << "report: none was written; `tandem report " << status["path"].get<std::string>()
              << "` writes it\n";
  }
}

/// Everything that `tandem status` says.
Json StatusJson(const std::string& run_path, const Json& about) {
  const bool alive = RunIsAlive(run_path);
  const Json result = ReadJsonFile(run_path + "/result.json");
  Json status = {{"name", about.value("name", "")}, {"path", run_path}, {"alive", alive}};
  status["state"] = alive ? "training" : "ended without a result";
  if (!alive && result.is_object()) {
    status["state"] = absl::StrCat(result.value("outcome", ""), ": ", result.value("reason", ""));
  }
  status["members"] = MembersJson(run_path, about, alive);
  if (!alive) {
    status["figures"] = LastRecord(run_path);
    const std::string report = run_path + "/report.html";
    std::error_code error;
    status["report"] = std::filesystem::exists(report, error) ? Json(report) : Json();
    const std::string policy = PolicyOf(run_path);
    status["policy"] = policy.empty() ? Json() : Json(policy);
    return status;
  }
  status["pid"] = about.value("pid", 0);
  status["seconds"] = absl::ToDoubleSeconds(
      absl::Now() - absl::FromUnixSeconds(about.value("started_unix", int64_t{0})));
  for (const Json& member : status["members"]) {
    const std::string dashboard = member.value("dashboard", "");
    if (!dashboard.empty()) status["dashboard"] = absl::StrCat("http://", dashboard, "/");
  }
  int64_t max_env_steps = 0;
  for (const Json& record : ReadJsonLines(run_path + "/metrics.jsonl")) {
    max_env_steps = record.value("max_env_steps", max_env_steps);
  }
  status.update(LiveJson(about, max_env_steps));
  return status;
}

}  // namespace

int ShowStatus(const std::string& parent, const std::string& run, bool json) {
  const absl::StatusOr<std::string> path = FindRun(parent, run);
  if (!path.ok()) return Fail(path.status());
  const Json about = ReadJsonFile(*path + "/run.json");
  if (!about.is_object()) {
    return Fail(absl::DataLossError(*path + "/run.json is not readable as JSON"));
  }
  const Json status = StatusJson(*path, about);
  if (json) {
    std::cout << status.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    return kDone;
  }
  const bool alive = status["alive"];
  std::cout << status["name"].get<std::string>() << " in " << *path << "\n"
            << status["state"].get<std::string>();
  if (alive) {
    std::cout << " for " << ShortDuration(absl::Seconds(status["seconds"].get<double>()))
              << ", process " << status["pid"];
  }
  std::cout << "\n";
  PrintMembers(status["members"], alive);
  if (alive) {
    PrintLive(status);
    if (status.contains("dashboard")) {
      std::cout << "dashboard: " << status["dashboard"].get<std::string>() << "\n";
    }
  } else {
    PrintEnd(status);
  }
  return kDone;
}

}  // namespace tandem::cli
