#pragma once

#include <deque>
#include <optional>
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
  /// The time left is known once the policy is trained: it goes by the speed since then, for
  /// the random steps before the first model are no measure of it.
  nlohmann::json Record(const RunFigures& figures, absl::Duration elapsed, int restarts);

 private:
  struct Sample {
    absl::Duration at;
    int64_t env_steps;
    int64_t policy_updates;
  };

  void AddRates(nlohmann::json* record);

  const int64_t max_env_steps_;
  std::deque<Sample> samples_;  ///< Of the last seconds, for the rates; those of the warm-up alone
                                ///< until the policy is trained.
  std::optional<Sample> training_since_;  ///< When the policy was first seen to be trained.
};

/// The line for people, at most 120 characters; what is not known yet is left out:
///   step 1250/5000 at 17.3/s  return 612 (eval 950)  model error 0.12 (held-out 0.10)  ...
/// The return is that of the newest training episode, and of the newest evaluation; the model error
/// that of steps collected since its fit, and of those held out of it. Instead of the index, a
/// verdict that rests on something else is named with that: "verdict warning (gap_100)". While
/// everybody waits for the first model that stands there, and what is wrong where nothing moves:
///   step 1238/3000 stands still  actor-0: environment 0 failed 5 times, last: no motor
std::string ProgressLine(const nlohmann::json& record);

/// What a run without a step waits for: "waiting for the replay buffer to answer, 3s", and the
/// troubles of its members.
std::string StartingLine(const RunFigures& figures, absl::Duration elapsed);

/// The member whose log tells why a run has no step: the replay buffer while it does not answer,
/// else the first actor.
std::string SilentMember(const RunFigures& figures);

/// The record of an evaluation in metrics.jsonl, and its line for people.
nlohmann::json EvaluationRecord(const EvaluationResult& evaluation, absl::Duration elapsed);
std::string EvaluationLine(const EvaluationResult& evaluation);

/// The number of that name in a record; NaN where there is none. Pure.
double NumberIn(const nlohmann::json& record, const char* name);

/// "warming_up" for VERDICT_WARMING_UP.
std::string VerdictName(monitor::v1::Verdict verdict);

/// "3m12s", "45s", "2h05m".
std::string ShortDuration(absl::Duration duration);

}  // namespace tandem::cli
