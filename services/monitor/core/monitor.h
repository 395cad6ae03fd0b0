#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/clients/replay_client.h"
#include "common/metrics/registry.h"
#include "common/snapshot/snapshot.h"
#include "services/monitor/core/inbox.h"
#include "services/monitor/core/ingest.h"
#include "services/monitor/core/judge.h"
#include "services/monitor/core/material.h"
#include "services/monitor/core/monitor_metrics.h"
#include "services/monitor/core/open_checkpoint.h"
#include "services/monitor/core/report.h"
#include "services/monitor/core/snapshot_history.h"
#include "services/monitor/core/surveyor.h"

namespace tandem::monitor {

struct MonitorOptions {
  SurveyOptions survey;
  absl::Duration interval = absl::Seconds(1);  ///< Between two looks at what is new.
  /// While it judges it tells the pace so often that it is there; the pace waits for 10 s.
  absl::Duration heartbeat = absl::Seconds(2);
  int64_t least_steps = 50;     ///< Fresh steps that make a checkpoint [steps].
  int64_t window = 1000;        ///< Fresh steps that end a checkpoint without a new model [steps].
  int64_t capacity = 20'000;    ///< Fresh steps that may wait; more drop the oldest [steps].
  int64_t seen_rows = 500;      ///< Newest held-out, and training, steps that models saw [steps].
  double max_policy_lag = 1e9;  ///< Steps of older policies are left out [updates].
  int models_kept = 4;          ///< Models held, so that an evaluation finds an older one.
  int policies_kept = 24;       ///< Policies held, so that an episode finds its own.
  double policy_spacing = 0;    ///< Between those held, see PolicyHistory [updates].
  uint64_t policy_stride = 0;   ///< Of versions that must not be missed, see PolicyHistory.
  int64_t policy_poll_steps = 0;  ///< Fresh steps between two looks at the policy [steps].
  int64_t evaluation_model_steps = 10'000;  ///< Most model steps for one evaluation.
  /// Lockstep: judge what the pace says, and let it wait for the judgement.
  bool paced = false;
  std::string replay_address;  ///< For the log.
  uint64_t seed = 0;
};

/// What the monitor works with; not owned but the factories, and all outlive it.
struct MonitorDeps {
  ReplayClient* replay = nullptr;
  snapshot::SnapshotSource* models = nullptr;
  snapshot::SnapshotSource* policies = nullptr;
  ModelFactory load_model;
  PolicyFactory load_policy;
  Clock* clock = nullptr;
  metrics::Registry* registry = nullptr;
  Judge* judge = nullptr;
};

/// Measures how far the policy exploits its model, from what the others publish. Its unit is the
/// checkpoint: when the next model comes, it scores the steps that the last one had not seen, lets
/// the policy loose in it from real states, fills coadaptation::Checkpoint and hands it to the
/// judge. Costs the run nothing but its own bounded computation; wherever it falls behind it drops
/// steps and counts them. Evaluations are held against the model apart, for the history alone: the
/// verdict never sees them.
///
/// Two threads: one follows the replay buffer, one computes. GetReport is thread-safe; ReadChunk
/// and Tick are what the threads do, for tests that drive them by hand instead of Start.
class Monitor {
 public:
  /// INVALID_ARGUMENT on options out of range or a missing dependency.
  static absl::StatusOr<std::unique_ptr<Monitor>> Create(const MonitorOptions& options,
                                                         const MonitorDeps& deps);
  /// Calls Stop().
  ~Monitor();

  /// Starts the threads. Once.
  void Start();
  /// Stops the replay client, ends a running computation soon, and joins. Blocks. Idempotent.
  void Stop();

  /// The run by now. Does not wait for a computation.
  Report GetReport();

  /// Reads what the replay buffer has, waiting at most `timeout`; see Ingest::ReadChunk.
  absl::Status ReadChunk(absl::Duration timeout) { return ingest_.ReadChunk(timeout); }
  /// Takes in what is new, and computes a checkpoint where one has ended.
  void Tick();

 private:
  Monitor(const MonitorOptions& options, const MonitorDeps& deps);

  void FollowReplay();
  void Compute();
  /// Tells the pace the settings that it applies itself, and waits so long for its grant. An error
  /// is in the log already.
  absl::StatusOr<Grant> TellPace(absl::Duration wait);
  /// For whatever may take long: tells the pace when the time has come. Returns false after Stop().
  bool GoesOn();
  /// Judges where the pace says, until the run is over or Stop().
  void FollowPace();
  /// Waits for what the pace says is there, bounded, and judges it.
  void JudgeThrough(const EnvironmentSpec& spec, const Grant& grant);
  /// Sleeps until `duration` has passed or Stop(). Returns false after Stop().
  bool Pause(absl::Duration duration);

  /// Takes over what the judge knows of the time before a restart.
  void TakeOver();
  /// Returns whether a new model came.
  bool PollModels(const EnvironmentSpec& spec);
  void PollPolicies(const EnvironmentSpec& spec);
  void TakeSteps();
  /// Ends the checkpoint under way at this index, with so many training steps below it.
  void CloseCheckpoint(const EnvironmentSpec& spec, int64_t through_index, int64_t env_steps);
  Material Gather(const EnvironmentSpec& spec, int64_t through_index, int64_t env_steps);
  /// Leaves out the steps of policies that are too old, or not known.
  TransitionBatch DropOldPolicies(const TransitionBatch& rows, const HeldPolicy& newest);
  void TakeEvaluations();
  void CompareEvaluations(const EnvironmentSpec& spec);
  /// Returns whether it is done with the evaluation, compared or not.
  bool CompareEvaluation(const EnvironmentSpec& spec, const Evaluation& evaluation);
  void UpdateReport();
  void CountDropped(metrics::Counter& counter, int64_t steps);
  void Complain(const absl::Status& status, const char* what);

  const MonitorOptions options_;
  Clock* const clock_;
  ReplayClient* const replay_;
  Judge* const judge_;
  MonitorMetrics metrics_;
  Inbox inbox_;
  Ingest ingest_;  // ingest thread only

  // Computing thread only.
  ModelHistory models_;
  PolicyHistory policies_;
  OpenCheckpoint open_;
  Surveyor surveyor_;
  std::deque<Evaluation> evaluations_;  // not yet compared
  double episode_length_ = coadaptation::Checkpoint::kNaN;
  double evaluation_gap_ = coadaptation::Checkpoint::kNaN;
  int64_t polled_at_ = 0;  // fresh steps that waited then
  int64_t judged_through_index_ = 0;
  absl::Duration told_at_ = absl::ZeroDuration();  // when the pace last heard of it
  int64_t overflow_counted_ = 0;
  int64_t nonfinite_counted_ = 0;
  Report next_;  // as it comes in
  std::string last_complaint_;

  std::atomic<bool> stopping_{false};
  Mutex mu_;
  CondVar wake_;
  Report report_ ABSL_GUARDED_BY(mu_);
  std::thread ingest_thread_;
  std::thread compute_thread_;
};

}  // namespace tandem::monitor
