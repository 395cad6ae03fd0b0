#pragma once

#include <cstdint>
#include <deque>

#include "common/coadaptation/discounted_mean.h"
#include "common/coadaptation/verdict.h"
#include "services/monitor/core/transition_scorer.h"

namespace tandem::monitor {

/// The scores of the newest fresh steps, and their means. Not thread-safe.
class ScoreWindow {
 public:
  /// capacity [steps] >= 1.
  explicit ScoreWindow(int64_t capacity) : capacity_(capacity) {}

  /// policy_lag [updates]: how many updates old the policy was that took the step; NaN if unknown.
  void Add(const ScoredStep& score, coadaptation::StepPlace place, double policy_lag);
  void Clear() { entries_.clear(); }
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }

  /// Fills the index, its parts, the residual and window_steps; NaN where there are no steps or no
  /// return scale.
  void FillIndex(double discount, double return_scale, coadaptation::Figures* figures) const;
  /// Root mean squared one-step error; NaN if unknown.
  double Error() const;
  /// Mean policy lag [updates]; NaN if unknown.
  double PolicyLag() const;

 private:
  struct Entry {
    ScoredStep score;
    coadaptation::StepPlace place;
    double policy_lag;
  };
  const int64_t capacity_;
  std::deque<Entry> entries_;
};

}  // namespace tandem::monitor
