#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <vector>

#include "common/coadaptation/return_scale.h"
#include "common/data/batch.h"
#include "services/monitor/core/return_memory.h"

namespace tandem::monitor {

/// The episodes of one evaluation, all in: deterministic actions of one policy.
using Evaluation = std::vector<Episode>;

/// What the finished episodes tell: the newest returns, the return scale, and those that wait to be
/// held against the model. An episode that a failure cut short tells nothing: the model would be
/// held against a part of it. Bounded: the oldest that nobody takes are forgotten. Not thread-safe.
class EpisodeLog {
 public:
  static constexpr int kMeanOver = 5;            ///< Training episodes in a mean return.
  static constexpr size_t kMostTraining = 1000;  ///< Training episodes that wait.
  static constexpr size_t kMostEvaluations = 16;

  void Add(const Episode& episode);

  /// Takes the training episodes that ended at or before `env_steps` and in which learned policies
  /// alone acted, oldest first.
  std::vector<Episode> TakeTraining(int64_t env_steps);
  /// Takes the evaluations that are whole, oldest first; without their episodes that failed.
  std::vector<Evaluation> TakeEvaluations();

  double training_return() const { return training_return_; }  ///< Newest episode; NaN if none.
  double evaluation_return() const {
    return evaluation_return_;
  }  ///< Newest evaluation; NaN if none.
  /// Range of the mean returns so far: of evaluations, and of up to 5 successive training episodes.
  /// Random walks of a warm-up whose episodes have a length of their own are among them: before a
  /// policy reaches anything they alone show a spread, and without one any gap is a large one.
  double return_scale() const { return scale_.scale(); }

  /// What the scale is made of, to be restored before the first episode: those that are in it
  /// already do not count twice when they come again.
  ReturnMemory memory() const { return {scale_.memory(), through_env_steps_}; }
  void Restore(const ReturnMemory& memory);

 private:
  /// An evaluation of which not every episode has ended.
  struct Unfinished {
    Evaluation episodes;
    int64_t failed = 0;
  };

  void AddTraining(const Episode& episode);
  void AddEvaluation(const Episode& episode);

  /// Whether the scale has yet to take an episode that ended at so many training steps; if so it is
  /// held to have taken it.
  bool IsNewToScale(int64_t env_steps);

  coadaptation::ReturnScale scale_;
  int64_t through_env_steps_ = -1;  // in the scale
  int64_t restored_through_ = -1;   // in the scale before a restart
  double training_return_ = std::numeric_limits<double>::quiet_NaN();
  double evaluation_return_ = std::numeric_limits<double>::quiet_NaN();
  std::deque<double> recent_;                  // the last training returns
  std::deque<Episode> training_;               // not taken yet
  std::map<uint64_t, Unfinished> unfinished_;  // by evaluation_id
  std::deque<Evaluation> evaluations_;         // whole, not taken yet
};

}  // namespace tandem::monitor
