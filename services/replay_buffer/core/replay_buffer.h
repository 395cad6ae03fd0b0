#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/clients/replay_client.h"
#include "common/metrics/registry.h"
#include "services/replay_buffer/core/episode_log.h"
#include "services/replay_buffer/core/pace_desk.h"
#include "services/replay_buffer/core/replay_metrics.h"
#include "services/replay_buffer/core/step_store.h"
#include "services/replay_buffer/core/training_index.h"
#include "services/replay_buffer/core/writers.h"

namespace tandem {

/// All experience of a run, held in memory, and the pace of its sides. Knows nothing of RPC.
///
/// Thread-safe: one mutex, held for the time of a copy. Nothing here blocks; what has to wait is
/// given a continuation, which is called exactly once, without the lock, from the thread whose call
/// made it true or from the buffer's own timer thread, and must not block. After Stop() every call
/// is UNAVAILABLE.
///   auto buffer = ReplayBuffer::Create({.capacity = 1'000'000}, registry);   // StatusOr
///   auto session = (*buffer)->OpenWriter("actor-0", spec);
///   (*buffer)->Append("actor-0", session->epoch, /*sequence=*/1, segments, episodes);
class ReplayBuffer {
 public:
  struct Options {
    int64_t capacity = 1'000'000;   ///< [steps] >= 1; the oldest go first.
    double holdout_fraction = 0.2;  ///< Share of training episodes held out, 0 to 0.5.
    PaceOptions pace;
    uint64_t incarnation = 1;  ///< [starts] >= 1 of this process: later epochs are larger.
    /// An actor silent for so long no longer holds up the others, if there are any.
    absl::Duration member_timeout = absl::Minutes(5);
    /// What a monitor asked for ends after so long a silence of it.
    absl::Duration monitor_ttl = absl::Seconds(120);
    /// A monitor silent for so long no longer holds up fits.
    absl::Duration monitor_silence = absl::Seconds(10);
  };

  /// The registry outlives the buffer. INVALID_ARGUMENT names the option out of range.
  static absl::StatusOr<std::unique_ptr<ReplayBuffer>> Create(const Options& options,
                                                              metrics::Registry& registry);
  /// Calls Stop().
  ~ReplayBuffer();
  ReplayBuffer(const ReplayBuffer&) = delete;
  ReplayBuffer& operator=(const ReplayBuffer&) = delete;

  /// Starts a new epoch of a writer; its open episodes are closed as truncated. INVALID_ARGUMENT
  /// for a bad name or spec, FAILED_PRECONDITION for another spec than the first writer's.
  absl::StatusOr<WriterSession> OpenWriter(const std::string& writer, const EnvironmentSpec& spec);

  /// Stores steps and finished episodes, all or nothing, exactly once by (writer, epoch, sequence).
  /// OUT_OF_RANGE for a gap, FAILED_PRECONDITION for an unknown writer or epoch, INVALID_ARGUMENT
  /// for content that breaks a rule.
  absl::StatusOr<AppendResult> Append(const std::string& writer, uint64_t epoch, uint64_t sequence,
                                      const std::vector<Segment>& segments,
                                      const std::vector<Episode>& episodes);

  /// Batch number `batch` of the stream described by `spec`; see Slice. Nothing where the steps for
  /// it have not come yet. FAILED_PRECONDITION where they never will: no such step is held below
  /// the bound.
  absl::StatusOr<std::optional<SampledBatch>> Sample(const SampleSpec& spec, int64_t batch,
                                                     int64_t through_index);

  /// What follows `from`, at most `max_bytes` of transitions (but at least one row) and 256
  /// episodes. Never waits: there is nothing new where the chunk's cursors are those of `from`.
  absl::StatusOr<TailChunk> ReadTail(const TailRequest& from, int64_t max_bytes);

  /// A fresh name for a call that may wait.
  Ticket NewTicket();
  /// Reports progress; `done` gets the grant now, or when there is one, or an empty one after
  /// `wait` (clamped to 0..10 s), or an error: INVALID_ARGUMENT, or UNAVAILABLE on Stop().
  void Advance(Ticket ticket, const Progress& progress, absl::Duration wait,
               std::function<void(absl::StatusOr<Grant>)> done);
  /// True: the call waited, and `done` is never called. False: it was or is being called.
  bool CancelAdvance(Ticket ticket);

  /// Calls `wake` once when the end index is above `index` or the end of the episodes above
  /// `episode`, which may be now, or on Stop().
  void WhenNewer(Ticket ticket, int64_t index, int64_t episode, std::function<void()> wake);
  /// Like CancelAdvance.
  bool CancelWake(Ticket ticket);

  ReplayStatus GetStatus();
  int64_t end_index();
  /// Of the steps; unset before the first writer.
  std::optional<EnvironmentSpec> spec();

  /// Counts an append that was refused before it came here.
  void CountRejected(const absl::Status& status) { metrics_.Rejected(status); }

  /// Ends every waiting call with UNAVAILABLE and refuses further ones. Idempotent.
  void Stop();

 private:
  struct Wake {
    Ticket ticket;
    int64_t index;
    int64_t episode;
    std::function<void()> wake;
  };

  ReplayBuffer(const Options& options, metrics::Registry& registry);
  absl::Status CheckRunning() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<AppendResult> TryAppend(const std::string& name, uint64_t epoch, uint64_t sequence,
                                         const std::vector<Segment>& segments,
                                         const std::vector<Episode>& episodes, Completions* out);
  void CloseOpenEpisodes(Writer* writer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  /// Ends an open episode with the step stored last, for its summary tells of a failure.
  void CloseFailed(Writer* writer, const Episode& episode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StoreSegment(const std::string& name, Writer* writer, const Segment& segment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  OpenEpisode BeginEpisode(const Segment& segment) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StoreEpisode(const std::string& name, Episode episode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CollectWakes(Completions* out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UpdateGauges() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunTimer();

  const Options options_;
  ReplayMetrics metrics_;
  Mutex mu_;
  CondVar timer_wake_;
  std::shared_ptr<const EnvironmentSpec> spec_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<StepStore> store_ ABSL_GUARDED_BY(mu_);  ///< Unset before the first writer.
  TrainingIndex index_ ABSL_GUARDED_BY(mu_);
  EpisodeLog episodes_ ABSL_GUARDED_BY(mu_);
  PaceDesk desk_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Writer> writers_ ABSL_GUARDED_BY(mu_);
  std::vector<Wake> wakes_ ABSL_GUARDED_BY(mu_);
  int64_t begun_episodes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t begun_training_episodes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t finished_training_episodes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t epochs_ ABSL_GUARDED_BY(mu_) = 0;
  Ticket next_ticket_ ABSL_GUARDED_BY(mu_) = 1;
  size_t evaluations_counted_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread timer_;
};

}  // namespace tandem
