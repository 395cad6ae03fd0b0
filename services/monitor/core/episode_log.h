#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <vector>

#include "common/coadaptation/return_scale.h"
#include "common/data/batch.h"

namespace tandem::monitor {

/// Real episodes of one policy, to be compared with the model's from the same start states.
struct RealReturns {
  uint64_t number = 0;        ///< 1 for the first such group of a log, then one more for each.
  bool evaluation = false;    ///< Deterministic actions; false: training episodes.
  double policy_updates = 0;  ///< Updates in the policy that acted, mean over the episodes.
  int64_t obs_dim = 0;
  std::vector<float> start_states;  ///< [B, obs_dim]
  std::vector<double> returns;      ///< [B] undiscounted
  int64_t longest = 0;              ///< Length of the longest episode [steps].
};

/// What the finished episodes tell: the newest returns, the return scale, and the newest group of
/// episodes to compare. A group is one whole evaluation; until the first evaluation is in, it is
/// kTrainingGroup successive training episodes. Episodes of random actions make no group.
/// Not thread-safe.
class EpisodeLog {
 public:
  static constexpr int kTrainingGroup = 5;

  void Add(const Episode& episode);

  double training_return() const { return training_return_; }  ///< Newest episode; NaN if none.
  double evaluation_return() const {
    return evaluation_return_;
  }  ///< Newest evaluation; NaN if none.
  /// Range of the mean returns so far: of evaluations, and of up to 5 successive training episodes.
  double return_scale() const { return scale_.scale(); }
  /// The newest group; number 0 before the first.
  const RealReturns& newest() const { return newest_; }

 private:
  void AddTraining(const Episode& episode);
  void AddEvaluation(const Episode& episode);
  void MakeGroup(const std::vector<Episode>& episodes, bool evaluation);

  coadaptation::ReturnScale scale_;
  double training_return_ = std::numeric_limits<double>::quiet_NaN();
  double evaluation_return_ = std::numeric_limits<double>::quiet_NaN();
  std::deque<double> recent_;                             // the last training returns
  std::vector<Episode> training_group_;                   // unfinished
  std::map<uint64_t, std::vector<Episode>> evaluations_;  // unfinished, by evaluation_id
  RealReturns newest_;
};

}  // namespace tandem::monitor
