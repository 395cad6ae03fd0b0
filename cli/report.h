#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::cli {

/// What the report says of a run beside its curves. Also written as result.json.
struct RunResult {
  std::string outcome;  ///< "done", "interrupted" or "failed".
  std::string reason;   ///< "goal reached: ..." or the error.
  double wall_seconds = 0;
  int restarts = 0;
};

nlohmann::json ToJson(const RunResult& result);

/// The report of the run in `run_path` as one HTML page that needs nothing else: the verdict,
/// facts, curves over environment steps and the evaluations, from metrics.jsonl, events.jsonl,
/// versions.json and the config. Text from files is escaped.
std::string ReportHtml(const std::string& run_path, const config::v1::RunConfig& config,
                       const RunResult& result);

/// At most `most` of the records, evenly spread, always with the last.
std::vector<nlohmann::json> Thinned(std::vector<nlohmann::json> records, size_t most);

}  // namespace tandem::cli
