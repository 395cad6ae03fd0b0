#pragma once

#include <deque>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/time/time.h"
#include "cli/run_watch.h"

namespace tandem::cli {

/// Turns the figures of a run into its line of progress and its record in metrics.jsonl. Keeps what
/// rates need. Not thread-safe.
class Progress {
 public:
  /// max_env_steps: where the run ends at the latest.
  explicit Progress(int64_t max_env_steps) : max_env_steps_(max_env_steps) {}

  /// The record at `elapsed` since the start: every figure by name, null where it is not known.
  /// Steps come from the replay buffer, judgement from the monitor.
  nlohmann::json Record(const RunFigures& figures, absl::Duration elapsed, int restarts);

 private:
  struct Sample {
    absl::Duration at;
    int64_t env_steps;
    int64_t policy_updates;
  };

  const int64_t max_env_steps_;
  std::deque<Sample> samples_;  ///< Of the last seconds, for the rates.
};

/// The line for people, at most 120 characters:
///   1250/5000 steps 17.3/s  return 612.4 eval 950.1  model error 0.12/0.10  index +0.03 healthy ...
/// kProgressLegend says what its parts are.
inline constexpr char kProgressLegend[] =
    "return: newest training episode, newest evaluation; model error: fresh/held-out steps; lag: "
    "steps since the fit/updates of the acting policy";
std::string ProgressLine(const nlohmann::json& record);

/// What holds up a run whose figures are not there yet: "starting: replay_buffer does not answer yet".
std::string StartingLine(const RunFigures& figures, absl::Duration elapsed);

/// The record of an evaluation in metrics.jsonl, and its line for people.
nlohmann::json EvaluationRecord(const EvaluationResult& evaluation, absl::Duration elapsed);
std::string EvaluationLine(const EvaluationResult& evaluation);

/// "warming_up" for VERDICT_WARMING_UP.
std::string VerdictName(monitor::v1::Verdict verdict);

/// "3m12s", "45s", "2h05m".
std::string ShortDuration(absl::Duration duration);

}  // namespace tandem::cli
