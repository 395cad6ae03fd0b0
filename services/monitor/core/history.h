#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/knob.h"
#include "common/coadaptation/verdict.h"

namespace tandem::monitor {

/// One judged checkpoint.
struct HistoryCheckpoint {
  coadaptation::Checkpoint checkpoint;
  coadaptation::Judgement judgement;
};

/// What happened: an alarm, an action, an acknowledgement, an override, a restart.
struct HistoryEvent {
  double wall_seconds = coadaptation::kUnknown;  ///< Unix time [s].
  double env_steps = coadaptation::kUnknown;     ///< Training steps then [steps].
  /// "alarm", "all_clear", "action", "advice", "acknowledged", "refused", "expired",
  /// "unacknowledged", "override", "restart" or "rollback".
  std::string kind;
  std::string text;                        ///< In words.
  std::optional<coadaptation::Knob> knob;  ///< Where it is about one.
  double before = coadaptation::kUnknown;  ///< Its value before.
  double after = coadaptation::kUnknown;   ///< Its value after.
};

/// An evaluation held against the model: the label by which a study judges the verdicts, so nothing
/// of the verdict uses it.
struct HistoryEvaluation {
  double env_steps = coadaptation::kUnknown;        ///< Training steps when it was played [steps].
  double policy_updates = coadaptation::kUnknown;   ///< Of the policy that played [updates].
  double model_env_steps = coadaptation::kUnknown;  ///< When the model was fitted [steps].
  double model_return = coadaptation::kUnknown;
  double real_return = coadaptation::kUnknown;
  double gap = coadaptation::kUnknown;  ///< In units of return_scale.
  double episodes = coadaptation::kUnknown;
  double return_scale = coadaptation::kUnknown;
};

/// Part of the history, oldest first.
struct HistoryPage {
  std::vector<HistoryCheckpoint> checkpoints;
  std::vector<HistoryEvent> events;
  int64_t next_checkpoint = 0;  ///< Ordinal to continue from.
  int64_t next_event = 0;       ///< Ordinal to continue from.
};

/// What the monitor judged and did, as lines of JSON in a file and, the newest, in memory. Each
/// line has a "kind": "checkpoint" (every number that is known, by name, and "verdict", "sentence",
/// "signal", "evidence_log10", "evidence_early_log10", "early", "evidence_negative_log10",
/// "warning_score", "warnings"), "event" (whose kind stands under "event"), "evaluation", or
/// "state" (what the judge needs to go on after a restart, for it alone).
///
/// A line is written whole or, where the process or the disk fails, torn at the end of the file:
/// then the torn part is cut off at the next start. A failed write costs that line in the file,
/// never the run: it is reported and the memory has it still.
///
/// Thread-safe. Appending blocks on the disk.
class History {
 public:
  /// Newest checkpoints, and as many events, held in memory.
  static constexpr size_t kKept = 5000;

  /// path: empty keeps the history in memory alone. Makes the folder where there is none, and reads
  /// back what the file holds; lines that make no sense are skipped and counted.
  static absl::StatusOr<std::unique_ptr<History>> Open(const std::string& path);

  absl::Status Append(const HistoryCheckpoint& checkpoint);
  absl::Status Append(const HistoryEvent& event);
  absl::Status Append(const HistoryEvaluation& evaluation);
  /// state: a JSON object in one line.
  absl::Status AppendState(const std::string& state);

  /// From these ordinals on (older than what is held: from the oldest held), at most `most` of
  /// each. Ordinals count from 0 at the start of the file.
  HistoryPage Read(int64_t from_checkpoint, int64_t from_event, size_t most = 1000) const;

  /// The newest state that was read back or appended; empty if there is none.
  std::string state() const;
  /// Lines that were skipped when the file was read back.
  int64_t skipped() const { return skipped_; }
  /// Bytes of a torn last line that were cut off.
  int64_t torn_bytes() const { return torn_bytes_; }

 private:
  explicit History(std::string path) : path_(std::move(path)) {}
  absl::Status ReadBack();
  bool Take(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Keep(HistoryCheckpoint checkpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Keep(HistoryEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Write(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string path_;
  int64_t skipped_ = 0;
  int64_t torn_bytes_ = 0;
  mutable Mutex mu_;
  std::deque<HistoryCheckpoint> checkpoints_ ABSL_GUARDED_BY(mu_);
  std::deque<HistoryEvent> events_ ABSL_GUARDED_BY(mu_);
  int64_t dropped_checkpoints_ ABSL_GUARDED_BY(mu_) = 0;  // older than those held
  int64_t dropped_events_ ABSL_GUARDED_BY(mu_) = 0;
  std::string state_ ABSL_GUARDED_BY(mu_);
  bool line_open_ ABSL_GUARDED_BY(mu_) = false;  // a failed write may have left half a line
};

}  // namespace tandem::monitor
