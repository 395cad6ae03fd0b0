#include "services/policy_trainer/core/imagined_pool.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/data/rows.h"

namespace tandem::policy_trainer {

ImaginedPool::ImaginedPool(int64_t obs_dim, int64_t action_dim, int generations)
    : obs_dim_(obs_dim),
      action_dim_(action_dim),
      generations_(static_cast<size_t>(std::max(1, generations))) {
  for (Generation& generation : generations_) {
    generation.columns.obs_dim = obs_dim;
    generation.columns.action_dim = action_dim;
  }
}

TransitionBatch& ImaginedPool::Begin(int64_t expected_rows) {
  Generation& generation = generations_[filling_];
  rows_ -= generation.rows;
  generation.rows = 0;
  generation.log_ratios.clear();
  TransitionBatch& columns = generation.columns;
  ResizeRows(0, &columns);
  columns.observations.reserve(expected_rows * obs_dim_);
  columns.actions.reserve(expected_rows * action_dim_);
  columns.rewards.reserve(expected_rows);
  columns.next_observations.reserve(expected_rows * obs_dim_);
  columns.terminated.reserve(expected_rows);
  return columns;
}

void ImaginedPool::Commit() {
  Generation& generation = generations_[filling_];
  rows_ += generation.columns.size() - generation.rows;
  generation.rows = generation.columns.size();
  filling_ = (filling_ + 1) % generations_.size();
}

void ImaginedPool::Clear() {
  for (Generation& generation : generations_) {
    ResizeRows(0, &generation.columns);
    generation.rows = 0;
  }
  rows_ = 0;
}

void ImaginedPool::Sample(Rng& rng, int64_t count, int64_t at, TransitionBatch* out,
                          std::span<float> log_ratios) const {
  TANDEM_CHECK(rows_ > 0);
  for (int64_t i = 0; i < count; ++i) {
    int64_t row = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(rows_)));
    size_t generation = 0;
    while (row >= generations_[generation].rows) row -= generations_[generation++].rows;
    const Generation& from = generations_[generation];
    CopyRows(from.columns, row, 1, at + i, out);
    if (!log_ratios.empty())
      log_ratios[at + i] = from.log_ratios.empty() ? 0 : from.log_ratios[row];
  }
}

absl::Status ImaginedPool::Relabel(
    const std::function<absl::Status(const TransitionBatch&, std::span<float>)>& label) {
  for (Generation& generation : generations_) {
    if (generation.columns.size() == 0) continue;
    generation.log_ratios.resize(generation.columns.size());
    TANDEM_RETURN_IF_ERROR(label(generation.columns, generation.log_ratios));
  }
  return absl::OkStatus();
}

}  // namespace tandem::policy_trainer
