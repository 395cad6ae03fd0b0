#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/clients/replay_client.h"
#include "common/coadaptation/verdict.h"
#include "common/metrics/registry.h"
#include "common/snapshot/snapshot.h"
#include "services/monitor/core/inbox.h"
#include "services/monitor/core/ingest.h"
#include "services/monitor/core/monitor_metrics.h"
#include "services/monitor/core/report.h"
#include "services/monitor/core/return_comparer.h"
#include "services/monitor/core/score_window.h"
#include "services/monitor/core/snapshot_history.h"
#include "services/monitor/core/transition_scorer.h"

namespace tandem::monitor {

struct MonitorOptions {
  coadaptation::Thresholds thresholds;
  ComparerOptions comparison;
  absl::Duration interval = absl::Seconds(1);  ///< Between two computations.
  int64_t window = 1000;                       ///< Fresh steps behind the index [steps].
  int64_t rows_per_tick = 500;      ///< Most fresh steps scored in one computation [steps].
  int64_t fresh_capacity = 20'000;  ///< Fresh steps that may wait; more drop the oldest [steps].
  int64_t heldout_rows = 500;       ///< Newest held-out steps behind the held-out error [steps].
  int models_kept = 4;              ///< Models held, newest first: older steps need older models.
  int policies_kept = 8;            ///< Policies held, so that an evaluation finds its own.
  int action_samples = 2;           ///< Actions behind each V(s).
  int model_samples = 5;            ///< Model outcomes of each step; at least the elites.
  double comparison_share = 0.1;    ///< Most of the time that comparing returns may take.
  std::string replay_address;       ///< For the log.
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
};

/// Judges how far the policy exploits its model, from what the others publish: it scores each fresh
/// step with the newest model that had not seen it, and holds the newest real episodes against the
/// model's from the same start states. Costs the run nothing but its own bounded computation;
/// wherever it falls behind it drops steps and counts them.
///
/// Two threads: one follows the replay buffer, one computes every interval. GetReport is
/// thread-safe; ReadChunk and Tick are what the threads do, for tests that drive them by hand
/// instead of Start.
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

  /// The latest figures, their age and the verdict by them now. Does not wait for a computation.
  Report GetReport();

  /// Reads what the replay buffer has, waiting at most `timeout`; see Ingest::ReadChunk.
  absl::Status ReadChunk(absl::Duration timeout) { return ingest_.ReadChunk(timeout); }
  /// One computation.
  void Tick();

 private:
  Monitor(const MonitorOptions& options, const MonitorDeps& deps);

  void FollowReplay();
  void Compute();
  /// Sleeps until `duration` has passed or Stop(). Returns false after Stop().
  bool Pause(absl::Duration duration);

  // The parts of Tick(), in order; each returns whether the figures changed.
  void PollSnapshots(const EnvironmentSpec& spec);
  bool ScoreFreshSteps();
  absl::StatusOr<int64_t> ScoreRows(const HeldModel& model, const TransitionBatch& rows);
  void ScoreHeldoutSteps();
  bool CompareReturns(const EnvironmentSpec& spec, const EpisodeLog& episodes);
  void UpdateReport(bool changed, const EpisodeLog& episodes);
  void Complain(const absl::Status& status, const char* what);

  const MonitorOptions options_;
  Clock* const clock_;
  ReplayClient* const replay_;
  MonitorMetrics metrics_;
  Inbox inbox_;
  Ingest ingest_;  // ingest thread only

  // Scoring thread only.
  ModelHistory models_;
  PolicyHistory policies_;
  TransitionScorer scorer_;
  ReturnComparer comparer_;
  ScoreWindow window_;
  bool warm_ = false;
  bool heldout_due_ = false;
  uint64_t last_compared_ = 0;  // number of the group of episodes
  absl::Duration next_comparison_ = absl::ZeroDuration();
  int64_t overflow_counted_ = 0;
  Report next_;  // figures as they come in
  std::string last_complaint_;

  std::atomic<bool> stopping_{false};
  Mutex mu_;
  CondVar wake_;
  Report report_ ABSL_GUARDED_BY(mu_);
  absl::Duration computed_at_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
  bool computed_ ABSL_GUARDED_BY(mu_) = false;
  std::thread ingest_thread_;
  std::thread compute_thread_;
};

}  // namespace tandem::monitor
