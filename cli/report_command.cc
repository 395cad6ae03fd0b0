#include <cmath>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/run_folder.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"

namespace tandem::cli {
namespace {

/// How the run in `path` ended, from its files.
RunResult ResultOf(const std::string& path) {
  RunResult result = {RunIsAlive(path) ? "training" : "ended", "without a result", 0, 0};
  const nlohmann::json told = ReadJsonFile(path + "/result.json");
  if (told.is_object()) {
    const auto text = [&told](const char* name) {
      const auto found = told.find(name);
      return found != told.end() && found->is_string() ? found->get<std::string>() : "unknown";
    };
    const auto number = [&told](const char* name) {
      const double value = NumberIn(told, name);
      return std::isfinite(value) ? value : 0;
    };
    return {text("outcome"), text("reason"), number("wall_seconds"),
            static_cast<int>(number("restarts"))};
  }
  if (RunIsAlive(path)) result.reason = "the figures so far";
  for (const nlohmann::json& record : ReadJsonLines(path + "/metrics.jsonl")) {
    result.wall_seconds = record.value("elapsed_seconds", result.wall_seconds);
    result.restarts = record.value("restarts", result.restarts);
  }
  return result;
}

absl::StatusOr<std::string> Write(const std::string& parent, const std::string& run) {
  TANDEM_ASSIGN_OR_RETURN(const std::string path, FindRun(parent, run));
  TANDEM_ASSIGN_OR_RETURN(const config::v1::RunConfig config,
                          config::Load(path + "/config.yaml", {}));
  const std::string report = path + "/report.html";
  TANDEM_RETURN_IF_ERROR(WriteFileAtomically(report, ReportHtml(path, config, ResultOf(path))));
  return report;
}

}  // namespace

int WriteReport(const std::string& parent, const std::string& run) {
  const absl::StatusOr<std::string> report = Write(parent, run);
  if (!report.ok()) return Fail(report.status());
  std::cout << "report: " << *report << "\n";
  return kDone;
}

}  // namespace tandem::cli
