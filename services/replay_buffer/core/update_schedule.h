#pragma once

#include <cstdint>
#include <optional>

namespace tandem {

/// How many policy updates a number of training steps calls for: none through the warm-up, then so
/// many for each whole round of steps, at a rate that may change while the run goes on. What was
/// called for before a change stays called for.
///
/// Not thread-safe; deterministic.
class UpdateSchedule {
 public:
  /// warmup >= 1 and round >= 1 [steps]; recipe_rate > 0 [updates/step].
  UpdateSchedule(int64_t warmup, int64_t round, double recipe_rate);

  /// From `steps` training steps on `rate` updates for each step, where a number that is not
  /// positive is the recipe's rate; in a pause none are called for.
  void Set(double rate, bool paused, int64_t steps);
  /// In force: 0 in a pause.
  double rate() const { return paused_ ? 0 : rate_; }
  /// What is in force when there is no pause.
  double running_rate() const { return rate_; }
  bool paused() const { return paused_; }

  /// Updates called for at `steps`, which is not before the last change.
  int64_t Due(int64_t steps) const;
  /// Fewest steps at which more than `updates` are called for; nothing where that never comes.
  std::optional<int64_t> StepsBeyond(int64_t updates) const;

  /// Most updates at `steps`, where they may run `band` steps ahead.
  int64_t Most(int64_t steps, int64_t band) const;
  /// Most steps that `updates` are enough for; nothing where there is no such number.
  std::optional<int64_t> StepsFor(int64_t updates) const;

 private:
  int64_t Rounds(int64_t steps) const;
  double Exact(int64_t steps) const;

  const int64_t warmup_;
  const int64_t round_;
  const double recipe_rate_;
  double rate_;
  bool paused_ = false;
  int64_t rounds_ = 0;  // at the last change
  double due_ = 0;      // at the last change, with its fraction
};

}  // namespace tandem
