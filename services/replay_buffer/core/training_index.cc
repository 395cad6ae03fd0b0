#include "services/replay_buffer/core/training_index.h"

#include <algorithm>

namespace tandem {

void TrainingIndex::Append(int64_t steps, bool training) {
  if (steps <= 0) return;
  if (runs_.empty() || runs_.back().training != training)
    runs_.push_back({end_, training_, training});
  end_ += steps;
  if (training) training_ += steps;
}

int64_t TrainingIndex::StepsBelow(int64_t index) const {
  index = std::min(index, end_);
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), index,
                       [](int64_t i, const Run& run) { return i < run.first_index; });
  if (after == runs_.begin()) return 0;
  const Run& run = *(after - 1);
  return run.first_training + (run.training ? index - run.first_index : 0);
}

int64_t TrainingIndex::IndexFor(int64_t steps) const {
  if (steps <= 0) return 0;
  if (steps > training_) return end_;
  // The last run that begins with fewer training steps than asked for holds the last of them: it is
  // one of training steps, for one of evaluation steps has a successor that begins with as many.
  const auto after =
      std::lower_bound(runs_.begin(), runs_.end(), steps,
                       [](const Run& run, int64_t s) { return run.first_training < s; });
  const auto run = after - 1;
  return run->first_index + (steps - run->first_training);
}

}  // namespace tandem
