#include "common/data/rows.h"

#include <algorithm>

namespace tandem {

void GatherRows(std::span<const float> column, int64_t dim, std::span<const int64_t> rows,
                std::vector<float>* out) {
  out->resize(rows.size() * static_cast<size_t>(dim));
  auto to = out->begin();
  for (const int64_t row : rows) {
    const std::span<const float> from = Row(column, row, dim);
    to = std::copy(from.begin(), from.end(), to);
  }
}

void ResizeRows(int64_t rows, TransitionBatch* batch) {
  batch->observations.resize(rows * batch->obs_dim);
  batch->actions.resize(rows * batch->action_dim);
  batch->rewards.resize(rows);
  batch->next_observations.resize(rows * batch->obs_dim);
  batch->terminated.resize(rows);
}

TransitionBatch MakeRows(int64_t obs_dim, int64_t action_dim, int64_t rows) {
  TransitionBatch batch{.obs_dim = obs_dim, .action_dim = action_dim};
  ResizeRows(rows, &batch);
  return batch;
}

void CopyRows(const TransitionBatch& from, int64_t first, int64_t count, int64_t at,
              TransitionBatch* to) {
  const auto copy = [=](const auto& source, int64_t width, auto& target) {
    std::copy_n(source.begin() + first * width, count * width, target.begin() + at * width);
  };
  copy(from.observations, from.obs_dim, to->observations);
  copy(from.actions, from.action_dim, to->actions);
  copy(from.rewards, 1, to->rewards);
  copy(from.next_observations, from.obs_dim, to->next_observations);
  copy(from.terminated, 1, to->terminated);
}

}  // namespace tandem
