#pragma once

#include <optional>
#include <string>

namespace tandem::monitor {

/// How a run ended, as `tandem train` writes it down before it takes its services down.
struct RunEnd {
  std::string outcome;  ///< "done", "interrupted" or "failed".
  std::string reason;   ///< In a line, without what the logs say.
  std::string report;   ///< Path of the report, which is written last.
};

/// The end of the run whose monitor keeps its state in `state_dir`, RUN/state/monitor: what
/// RUN/result.json says. Absent while the run goes on, and where RUN is no folder of a run (it has
/// no run.json).
std::optional<RunEnd> ReadRunEnd(const std::string& state_dir);

}  // namespace tandem::monitor
