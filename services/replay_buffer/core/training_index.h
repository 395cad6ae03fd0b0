#pragma once

#include <cstdint>
#include <vector>

namespace tandem {

/// Translates between the global index, which counts every step, and the number of training steps,
/// which leaves evaluation steps out. Remembers only where the two kinds alternate, for ever, so
/// that it still answers for steps long evicted. Not thread-safe.
class TrainingIndex {
 public:
  /// The next `steps` global indices belong to training steps, or to evaluation steps.
  void Append(int64_t steps, bool training);
  /// Training steps with a global index below `index`; all of them for an index beyond the end.
  int64_t StepsBelow(int64_t index) const;
  /// The lowest index below which exactly `steps` training steps lie; the end where there are
  /// fewer.
  int64_t IndexFor(int64_t steps) const;

  int64_t training_steps() const { return training_; }
  int64_t end_index() const { return end_; }

 private:
  struct Run {
    int64_t first_index;
    int64_t first_training;  ///< Training steps before first_index.
    bool training;
  };
  std::vector<Run> runs_;
  int64_t end_ = 0;
  int64_t training_ = 0;
};

}  // namespace tandem
