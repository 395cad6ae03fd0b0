#include "cli/report.h"

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "cli/progress.h"
#include "cli/run_folder.h"
#include "cli/run_status.h"
#include "common/base/files.h"
#include "common/config/config.h"

namespace tandem::cli {

extern const std::string_view kReportTemplate;  // report_template.html, see CMakeLists.txt
extern const std::string_view kReportScript;    // report_script.js
extern const std::string_view kUplotScript;
extern const std::string_view kUplotStyle;

namespace {

using Json = nlohmann::json;

constexpr size_t kMostPoints = 2000;

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

/// JSON that may stand inside a <script> element.
std::string ScriptJson(const Json& value) {
  return absl::StrReplaceAll(value.dump(-1, ' ', false, Json::error_handler_t::replace),
                             {{"<", "\\u003c"}, {"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}});
}

/// One column of the curves: the value of each record, null where it is not a number.
Json Column(const std::vector<Json>& records, const char* name) {
  Json column = Json::array();
  for (const Json& record : records) {
    const auto found = record.find(name);
    column.push_back(found != record.end() && found->is_number() ? *found : Json());
  }
  return column;
}

std::vector<Json> OfKind(const std::vector<Json>& records, const std::string& kind) {
  std::vector<Json> found;
  for (const Json& record : records) {
    const auto value = record.find("kind");
    if (value != record.end() && *value == kind) found.push_back(record);
  }
  return found;
}

/// The records with figures of the run: one for each number of environment steps, the newest.
std::vector<Json> ByStep(const std::vector<Json>& records) {
  std::vector<Json> found;
  int64_t last = -1;
  for (const Json& record : records) {
    const int64_t steps = record.value("env_steps", int64_t{0});
    if (steps < last || record["steps_per_second"].is_null()) continue;
    if (steps == last) found.pop_back();
    found.push_back(record);
    last = steps;
  }
  return found;
}

Json Curves(const std::vector<Json>& progress, const std::vector<Json>& evaluations,
            const std::vector<Json>& checkpoints, const config::v1::RunConfig& config) {
  const std::vector<Json> records = Thinned(ByStep(progress), kMostPoints);
  Json curves;
  for (const char* name : {"env_steps", "training_return", "real_return", "model_return",
                           "steps_per_second", "updates_per_second"}) {
    curves["progress"][name] = Column(records, name);
  }
  const std::vector<Json> judged = Thinned(checkpoints, kMostPoints);
  for (const char* name : {"env_steps", "evidence_log10", "index", "index_reward", "index_dynamics",
                           "index_termination", "gap_5", "gap_25", "gap_100", "gap_episode",
                           "error_onpolicy", "error_heldout"}) {
    curves["checkpoints"][name] = Column(judged, name);
  }
  curves["evidence_threshold_log10"] = std::log10(config.monitor().false_alarm_interval());
  for (const char* name : {"env_steps", "mean_return"}) {
    curves["evaluations"][name] = Column(evaluations, name);
  }
  curves["objective"] = config.objective().kind() == config::v1::OBJECTIVE_KIND_MNM ? "MNM" : "";
  curves["tolerance"] = config.monitor().tolerance();
  curves["warning"] = config.monitor().warning();
  curves["goal"] =
      config.stop().has_return_at_least() ? Json(config.stop().return_at_least()) : Json();
  return curves;
}

std::string EvaluationRows(const std::vector<Json>& evaluations) {
  std::string rows;
  for (const Json& evaluation : evaluations) {
    absl::StrAppendFormat(
        &rows, "<tr><td>%d</td><td>%.1f</td><td>%d</td><td>%d</td></tr>\n",
        evaluation.value("env_steps", int64_t{0}), evaluation.value("mean_return", 0.0),
        evaluation.value("episodes", int64_t{0}), evaluation.value("policy_updates", int64_t{0}));
  }
  return rows.empty() ? "<tr><td colspan=\"4\">none was finished</td></tr>\n" : rows;
}

std::string EventRows(const std::vector<Json>& events) {
  std::string rows;
  for (const Json& event : events) {
    const std::string what = event.value("event", "");
    if (what != "died" && what != "restarted" && what != "in trouble") continue;
    absl::StrAppend(&rows, "<tr><td>", Escaped(event.value("time", "")), "</td><td>",
                    Escaped(event.value("member", "")), "</td><td>", Escaped(what), "</td><td>",
                    Escaped(event.value("reason", "")), "</td></tr>\n");
  }
  return rows.empty() ? "<tr><td colspan=\"4\">no process died or was in trouble</td></tr>\n"
                      : rows;
}

/// What the monitor found and did, from the events of its history.
std::string ActionRows(const std::vector<Json>& events) {
  std::string rows;
  for (const Json& event : events) {
    std::string change;
    if (event.contains("knob")) {
      change = event.value("knob", "");
      const auto value = [&event](const char* name) {
        const auto found = event.find(name);
        return found != event.end() && found->is_number()
                   ? absl::StrFormat("%.4g", found->get<double>())
                   : std::string("recipe");
      };
      if (event.contains("before") || event.contains("after")) {
        absl::StrAppend(&change, " ", value("before"), " \u2192 ", value("after"));
      }
    }
    const std::string kind = absl::StrReplaceAll(event.value("event", ""), {{"_", " "}});
    absl::StrAppendFormat(&rows, "<tr><td>%.0f</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                          event.value("env_steps", 0.0), Escaped(kind),
                          Escaped(event.value("text", "")), Escaped(change));
  }
  return rows.empty() ? "<tr><td colspan=\"4\">no alarm, no action</td></tr>\n" : rows;
}

std::string Fact(const std::string& name, const std::string& value) {
  return absl::StrCat("<dt>", Escaped(name), "</dt><dd>", Escaped(value), "</dd>\n");
}

std::string Facts(const std::string& run_path, const config::v1::RunConfig& config,
                  const RunResult& result, const Json& last) {
  const absl::StatusOr<std::string> command = ReadFile(run_path + "/command.txt");
  std::string facts =
      Fact("run", config.run().name()) + Fact("command", command.ok() ? *command : "") +
      Fact("environment", config.env().name()) + Fact("seed", absl::StrCat(config.run().seed())) +
      Fact("end", absl::StrCat(result.outcome, ": ", result.reason)) +
      Fact("wall time", ShortDuration(absl::Seconds(result.wall_seconds))) +
      Fact("environment steps", absl::StrCat(last.value("env_steps", int64_t{0}))) +
      Fact("training episodes", absl::StrCat(last.value("episodes", int64_t{0}))) +
      Fact("policy updates", absl::StrCat(last.value("policy_updates", int64_t{0}))) +
      Fact("restarts of processes", absl::StrCat(result.restarts));
  if (const std::string policy = PolicyOf(run_path); !policy.empty()) {
    facts += Fact("policy", policy);
    // Of an environment that is served only its owner knows where.
    if (config.env().server().empty() && config.env().command().empty()) {
      facts += Fact("to watch it play", absl::StrCat("tandem env render ", config.env().name(),
                                                     " --policy ", run_path));
    }
  }
  const Json versions = ReadJsonFile(run_path + "/versions.json");
  for (const auto& [name, value] : versions.items()) {
    facts +=
        Fact(name, value.is_string() ? value.get<std::string>()
                                     : value.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return facts;
}

/// Replaces each {{NAME}} once, so that what is put in is never searched again.
std::string Filled(std::string_view page,
                   const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string out;
  while (!page.empty()) {
    const size_t open = page.find("{{");
    const size_t close = open == std::string_view::npos ? open : page.find("}}", open);
    if (close == std::string_view::npos) break;
    out.append(page.substr(0, open));
    const std::string_view name = page.substr(open + 2, close - open - 2);
    for (const auto& [part, text] : parts) {
      if (part == name) out += text;
    }
    page.remove_prefix(close + 2);
  }
  return out.append(page);
}

}  // namespace

Json ToJson(const RunResult& result) {
  return {{"outcome", result.outcome},
          {"reason", result.reason},
          {"wall_seconds", result.wall_seconds},
          {"restarts", result.restarts}};
}

std::vector<Json> Thinned(std::vector<Json> records, size_t most) {
  if (records.size() <= most) return records;
  std::vector<Json> kept;
  for (size_t i = 0; i < most; ++i) {
    kept.push_back(std::move(records[i * (records.size() - 1) / (most - 1)]));
  }
  return kept;
}

std::string ReportHtml(const std::string& run_path, const config::v1::RunConfig& config,
                       const RunResult& result) {
  const std::vector<Json> metrics = ReadJsonLines(run_path + "/metrics.jsonl");
  const std::vector<Json> progress = OfKind(metrics, "progress");
  const std::vector<Json> evaluations = OfKind(metrics, "evaluation");
  const std::vector<Json> history = ReadJsonLines(run_path + "/state/monitor/history.jsonl");
  const Json last = progress.empty() ? Json::object() : progress.back();
  const std::string verdict = last.value("verdict", "unknown");
  std::string sentence = last.value("verdict_sentence", "");
  if (sentence.empty()) sentence = "The monitor gave no verdict.";
  return Filled(
      kReportTemplate,
      {{"TITLE", Escaped(config.run().name())},
       {"VERDICT_CLASS", Escaped(verdict)},
       {"VERDICT", Escaped(absl::StrReplaceAll(verdict, {{"_", " "}}))},
       {"SENTENCE", Escaped(sentence)},
       {"BASIS", Escaped(absl::StrCat("Evidence for an alarm: ", EvidenceText(last), "."))},
       {"ACTIONS", ActionRows(OfKind(history, "event"))},
       {"OUTCOME", Escaped(absl::StrCat(result.outcome, ": ", result.reason))},
       {"FACTS", Facts(run_path, config, result, last)},
       {"EVALUATIONS", EvaluationRows(evaluations)},
       {"EVENTS", EventRows(ReadJsonLines(run_path + "/events.jsonl"))},
       {"CONFIG", Escaped(config::ToYaml(config))},
       {"STYLE", std::string(kUplotStyle)},
       {"SCRIPT", absl::StrCat(std::string(kUplotScript), "\n", std::string(kReportScript))},
       {"DATA", ScriptJson(Curves(progress, evaluations, OfKind(history, "checkpoint"), config))}});
}

}  // namespace tandem::cli
