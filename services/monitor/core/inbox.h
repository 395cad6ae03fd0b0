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

/// The newest rows of one split, at most twice the capacity. Not thread-safe.
class RecentRows {
 public:
  /// capacity [steps] >= 1.
  explicit RecentRows(int64_t capacity) : capacity_(capacity) {}
  void Add(const TransitionBatch& steps, int64_t row);
  /// The newest below `through_index`, at most `capacity`, oldest first.
  TransitionBatch Below(int64_t through_index) const;

 private:
  const int64_t capacity_;
  TransitionBatch rows_;  // in index order
};

/// What the steps read so far say of the world.
struct WorldFigures {
  std::vector<double> output_sds;  ///< See coadaptation::OutputScale; empty before the first step.
  std::vector<double> state_sds;   ///< The same for the observations themselves, [obs_dim + 1].
  double training_return = 0;      ///< See EpisodeLog for these three; NaN: not known.
  double evaluation_return = 0;
  double return_scale = 0;
};

/// Where the ingest thread leaves what it read and the scoring thread takes it. Never blocks
/// either: when fresh steps come faster than they are taken the oldest are dropped and counted, and
/// of the steps that models have seen only the newest are kept. Thread-safe.
class Inbox {
 public:
  /// fresh_capacity, seen_capacity [steps] >= 1.
  Inbox(int64_t fresh_capacity, int64_t seen_capacity)
      : fresh_capacity_(fresh_capacity), heldout_(seen_capacity), train_(seen_capacity) {}

  /// What the replay buffer said when the tail was opened: the environment, and that `env_steps`
  /// training steps lie below `end_index`.
  void SetRun(const EnvironmentSpec& spec, int64_t env_steps, int64_t end_index);
  /// Steps in index order, all columns filled. Steps of a policy become fresh steps; those of
  /// random actions only count towards the figures of the world. Rows that are not finite are
  /// dropped and counted.
  void AddSteps(const TransitionBatch& steps);
  void AddEpisodes(const std::vector<Episode>& episodes);
  /// Everything below this index was read.
  void SetReadIndex(int64_t index);

  /// The environment; none before SetRun.
  std::optional<EnvironmentSpec> spec();
  /// Takes all fresh steps, oldest first; dimensions 0 where there are none.
  TransitionBatch TakeFresh();
  /// Copies of the newest held-out and training steps below `through_index`.
  TransitionBatch Heldout(int64_t through_index);
  TransitionBatch Train(int64_t through_index);
  WorldFigures World();
  /// See EpisodeLog.
  ReturnMemory Returns();
  void RestoreReturns(const ReturnMemory& memory);
  /// See EpisodeLog.
  std::vector<Episode> TakeTrainingEpisodes(int64_t env_steps);
  std::vector<Evaluation> TakeEvaluations();
  int64_t env_steps();
  int64_t read_index();  ///< 0 before the first chunk.
  int64_t dropped();     ///< Fresh steps dropped for want of room, so far.
  int64_t nonfinite();   ///< Steps dropped since a number was not finite, so far.

 private:
  void AddFresh(const TransitionBatch& steps, int64_t row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int64_t fresh_capacity_;
  Mutex mu_;
  std::optional<EnvironmentSpec> spec_ ABSL_GUARDED_BY(mu_);
  std::deque<TransitionBatch> fresh_ ABSL_GUARDED_BY(mu_);  // blocks
  int64_t waiting_ ABSL_GUARDED_BY(mu_) = 0;                // fresh steps not yet taken
  int64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t nonfinite_ ABSL_GUARDED_BY(mu_) = 0;
  RecentRows heldout_ ABSL_GUARDED_BY(mu_);
  RecentRows train_ ABSL_GUARDED_BY(mu_);
  coadaptation::OutputScale output_scale_ ABSL_GUARDED_BY(mu_);
  coadaptation::OutputScale state_scale_ ABSL_GUARDED_BY(mu_);
  EpisodeLog episodes_ ABSL_GUARDED_BY(mu_);
  int64_t env_steps_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t counted_through_ ABSL_GUARDED_BY(mu_) = 0;  // steps below are in env_steps_ already
  int64_t read_index_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace tandem::monitor
