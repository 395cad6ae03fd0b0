#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/base/mutex.h"
#include "common/coadaptation/model_error.h"
#include "common/data/batch.h"
#include "common/data/spec.h"
#include "services/monitor/core/episode_log.h"

namespace tandem::monitor {

/// Where the ingest thread leaves what it read and the scoring thread takes it. Never blocks
/// either: when fresh steps come faster than they are scored the oldest are dropped and counted,
/// and of the held-out steps only the newest are kept. Thread-safe.
class Inbox {
 public:
  /// fresh_capacity, heldout_capacity [steps] >= 1.
  Inbox(int64_t fresh_capacity, int64_t heldout_capacity)
      : fresh_capacity_(fresh_capacity), heldout_capacity_(heldout_capacity) {}

  /// What the replay buffer said when the tail was opened: the environment, and that `env_steps`
  /// training steps lie below `end_index`.
  void SetRun(const EnvironmentSpec& spec, int64_t env_steps, int64_t end_index);
  /// Steps in index order, all columns filled. Training and evaluation steps of a policy become
  /// fresh steps; those of random actions only count towards the spread of the model's outputs.
  void AddSteps(const TransitionBatch& steps);
  void AddEpisodes(const std::vector<Episode>& episodes);

  /// The environment; none before SetRun.
  std::optional<EnvironmentSpec> spec();
  /// Takes the oldest fresh steps, at most max_rows.
  TransitionBatch TakeFresh(int64_t max_rows);
  /// Copies the newest held-out steps below `through_index`, at most max_rows.
  TransitionBatch Heldout(int64_t through_index, int64_t max_rows);
  /// See coadaptation::OutputScale.
  std::vector<double> StandardDeviations();
  /// A copy of the episodes' figures.
  EpisodeLog Episodes();
  int64_t env_steps();
  int64_t dropped();  ///< Fresh steps dropped for want of room, so far.
  int64_t waiting();  ///< Fresh steps not yet taken.

 private:
  void AddFresh(const TransitionBatch& steps, int64_t row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int64_t fresh_capacity_;
  const int64_t heldout_capacity_;
  Mutex mu_;
  std::optional<EnvironmentSpec> spec_ ABSL_GUARDED_BY(mu_);
  std::deque<TransitionBatch> fresh_ ABSL_GUARDED_BY(mu_);  // blocks, the first one from taken_ on
  int64_t taken_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  TransitionBatch heldout_ ABSL_GUARDED_BY(mu_);  // at most twice the capacity, oldest first
  coadaptation::OutputScale scale_ ABSL_GUARDED_BY(mu_);
  EpisodeLog episodes_ ABSL_GUARDED_BY(mu_);
  int64_t env_steps_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t counted_through_ ABSL_GUARDED_BY(mu_) = 0;  // steps below are in env_steps_ already
};

}  // namespace tandem::monitor
