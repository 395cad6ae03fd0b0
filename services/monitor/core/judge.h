#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/controller.h"
#include "common/coadaptation/verdict.h"
#include "common/coadaptation/verdict_process.h"
#include "common/metrics/registry.h"
#include "services/monitor/core/directive_desk.h"
#include "services/monitor/core/history.h"
#include "services/monitor/core/judge_metrics.h"
#include "services/monitor/core/judge_state.h"

namespace tandem::monitor {

struct JudgeOptions {
  coadaptation::Thresholds thresholds;
  coadaptation::ControllerOptions controller;
  bool control = true;       ///< false: no controller, not even advice.
  std::string history_path;  ///< Of history.jsonl; empty: in memory alone.
  std::string token_file;    ///< Empty: no overrides.
  DeskOptions desk;
};

/// What the pace needs to know of the newest judgement.
struct Ruling {
  int64_t directive_version = 0;  ///< In force; 0: none was ever published.
  double updates_per_step = -1;   ///< Negative: the recipe's.
  bool policy_pause = false;
};

/// The judgement by now.
struct JudgeReport {
  coadaptation::Checkpoint checkpoint;  ///< The newest; all NaN before.
  coadaptation::Judgement judgement;    ///< On it, or that it is stale.
  double age_seconds = -1;              ///< Since it was judged [s]; negative before the first.
  int64_t checkpoints = 0;              ///< Judged so far, restarts included.
  double evidence_log10 = coadaptation::kUnknown;
  double evidence_threshold_log10 = coadaptation::kUnknown;
  std::string controller_state = "off";  ///< ControllerStateName, or "off".
  std::string advice;                    ///< What the controller does or would do; may be empty.
  coadaptation::Directive directive;     ///< In force.
  double ttl_seconds = 0;
};

/// Takes each checkpoint in: evidence, judgement, controller, directive, history, metrics. The one
/// place where a verdict is made. Keeps what it needs to go on after a restart in the history.
///
/// Thread-safe. OnCheckpoint, OnEvaluation, SetOverride and Acknowledge block on the disk, for one
/// line of the history.
class Judge {
 public:
  /// FAILED_PRECONDITION where the token file can be read by others than its owner, or is empty;
  /// the error of reading history or token file otherwise. `clock` and `registry` outlive it.
  static absl::StatusOr<std::unique_ptr<Judge>> Create(const JudgeOptions& options, Clock* clock,
                                                       metrics::Registry* registry);
  /// Calls Stop().
  ~Judge();

  /// Starts the thread that renews directives and notices missing acknowledgements. Once.
  void Start();
  /// Idempotent. Blocks for a moment.
  void Stop();
  /// What that thread does twice a second; for tests.
  void Beat();

  /// Judges one checkpoint. Where its number is NaN it gets the next. returns: what its return
  /// scale is made of, to be kept over a restart.
  void OnCheckpoint(const coadaptation::Checkpoint& checkpoint,
                    const std::optional<ReturnMemory>& returns = std::nullopt);
  /// What came with the newest checkpoint, also with one before a restart.
  std::optional<ReturnMemory> returns();
  /// An evaluation that was held against the model; for the history alone.
  void OnEvaluation(const HistoryEvaluation& evaluation);

  /// What the pace needs to know now; holds until the next checkpoint or override.
  Ruling ruling();
  /// How the pace answered when it was told the ruling of this version, which is how the replay
  /// buffer acknowledges: OK: it is in force; INVALID_ARGUMENT: refused; else it was not heard.
  void OnPaceAnswer(int64_t directive_version, const absl::Status& answer);
  JudgeReport Report();
  HistoryPage ReadHistory(int64_t from_checkpoint, int64_t from_event, size_t most = 1000) {
    return history_->Read(from_checkpoint, from_event, most);
  }
  DirectiveDesk& desk() { return desk_; }

  /// Holds a knob at a value by hand; nullopt gives it back to the controller. PERMISSION_DENIED
  /// where the run allows no overrides, UNAUTHENTICATED without its token, INVALID_ARGUMENT for a
  /// value out of range or a reason that is not 1 to 200 characters.
  absl::StatusOr<coadaptation::Directive> SetOverride(coadaptation::Knob knob,
                                                      std::optional<double> value,
                                                      const std::string& token,
                                                      const std::string& reason);
  bool allows_overrides() const { return !token_.empty(); }
  /// See DirectiveDesk::Acknowledge; also tells the controller and the history.
  absl::Status Acknowledge(const Acknowledgement& acknowledgement);

 private:
  Judge(const JudgeOptions& options, std::string token, std::unique_ptr<History> history,
        Clock* clock, metrics::Registry* registry);

  void ReadBack();
  void TakeOver(const JudgeState& state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  /// Makes the newest checkpoint before a restart the one that is reported. state: what it was
  /// judged with, where its judgement still holds; else nullptr.
  void ShowAgain(const HistoryCheckpoint& newest, const JudgeState* state)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ShowJudgement() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FollowAlarm(const coadaptation::Judgement& judgement) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Control(const coadaptation::Checkpoint& checkpoint, const coadaptation::Judgement& judgement)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  /// Publishes the controller's settings, keeps the state, and shows all of it.
  void Settle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ShowVerdict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Record(HistoryEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Complain(const absl::Status& written);
  double UnixSeconds() const;
  /// Unix time when this judge was made, and the seconds since: no step of the wall clock moves it.
  double SteadySeconds() const;
  double ClippedShare() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string StateName() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  double Age() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Refuse(const Acknowledgement& acknowledgement) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const JudgeOptions options_;
  const std::string token_;
  const std::unique_ptr<History> history_;
  Clock* const clock_;
  const absl::Time made_at_;
  const absl::Duration made_at_monotonic_;
  JudgeMetrics metrics_;
  DirectiveDesk desk_;

  std::atomic<bool> history_fails_{false};
  Mutex mu_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  coadaptation::VerdictProcess process_ ABSL_GUARDED_BY(mu_);
  coadaptation::Controller controller_ ABSL_GUARDED_BY(mu_);
  JudgeReport report_ ABSL_GUARDED_BY(mu_);
  bool alarm_ ABSL_GUARDED_BY(mu_) = false;
  int quiet_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration judged_at_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
  bool judged_ ABSL_GUARDED_BY(mu_) = false;  // since the start of this process
  double interval_ ABSL_GUARDED_BY(mu_) = coadaptation::kUnknown;  // between the last two [s]
  std::optional<ReturnMemory> returns_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace tandem::monitor
