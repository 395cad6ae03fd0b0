#include "services/monitor/core/inbox.h"

#include <algorithm>
#include <span>
#include <utility>

namespace tandem::monitor {
namespace {

constexpr int64_t kBlockRows = 256;

/// An empty batch with the dimensions of `like`.
TransitionBatch EmptyLike(const TransitionBatch& like) {
  TransitionBatch batch;
  batch.obs_dim = like.obs_dim;
  batch.action_dim = like.action_dim;
  return batch;
}

std::span<const float> Row(const std::vector<float>& values, int64_t row, int64_t dim) {
  return std::span<const float>(values).subspan(row * dim, dim);
}

}  // namespace

void Inbox::SetRun(const EnvironmentSpec& spec, int64_t env_steps, int64_t end_index) {
  MutexLock lock(mu_);
  spec_ = spec;
  env_steps_ = env_steps;
  counted_through_ = end_index;
}

void Inbox::AddSteps(const TransitionBatch& steps) {
  MutexLock lock(mu_);
  for (int64_t row = 0; row < steps.size(); ++row) {
    const Split split = static_cast<Split>(steps.splits[row]);
    if (split != Split::kEvaluation && steps.indices[row] >= counted_through_) {
      ++env_steps_;
      counted_through_ = steps.indices[row] + 1;
    }
    scale_.Add(Row(steps.observations, row, steps.obs_dim),
               Row(steps.next_observations, row, steps.obs_dim), steps.rewards[row]);
    if (split == Split::kHoldout) {
      if (heldout_.size() == 0) heldout_ = EmptyLike(steps);
      heldout_.Append(steps, row, row + 1);
    } else if (steps.policy_versions[row] > 0) {
      AddFresh(steps, row);
    }
  }
  if (heldout_.size() > 2 * heldout_capacity_) {
    TransitionBatch newest = EmptyLike(heldout_);
    newest.Append(heldout_, heldout_.size() - heldout_capacity_, heldout_.size());
    heldout_ = std::move(newest);
  }
}

void Inbox::AddFresh(const TransitionBatch& steps, int64_t row) {
  if (fresh_.empty() || fresh_.back().size() >= kBlockRows) fresh_.push_back(EmptyLike(steps));
  fresh_.back().Append(steps, row, row + 1);
  ++waiting_;
  if (waiting_ > fresh_capacity_) DropOldest();
}

void Inbox::DropOldest() {
  ++taken_;
  --waiting_;
  ++dropped_;
  if (taken_ == fresh_.front().size()) {
    fresh_.pop_front();
    taken_ = 0;
  }
}

void Inbox::AddEpisodes(const std::vector<Episode>& episodes) {
  MutexLock lock(mu_);
  for (const Episode& episode : episodes) episodes_.Add(episode);
}

std::optional<EnvironmentSpec> Inbox::spec() {
  MutexLock lock(mu_);
  return spec_;
}

TransitionBatch Inbox::TakeFresh(int64_t max_rows) {
  MutexLock lock(mu_);
  TransitionBatch rows;
  while (!fresh_.empty() && rows.size() < max_rows) {
    TransitionBatch& block = fresh_.front();
    if (rows.size() == 0) rows = EmptyLike(block);
    const int64_t end = std::min(block.size(), taken_ + max_rows - rows.size());
    rows.Append(block, taken_, end);
    waiting_ -= end - taken_;
    taken_ = end;
    if (taken_ < block.size()) break;
    fresh_.pop_front();
    taken_ = 0;
  }
  return rows;
}

TransitionBatch Inbox::Heldout(int64_t through_index, int64_t max_rows) {
  MutexLock lock(mu_);
  int64_t end = heldout_.size();
  while (end > 0 && heldout_.indices[end - 1] >= through_index) --end;
  TransitionBatch rows = EmptyLike(heldout_);
  if (end > 0) rows.Append(heldout_, std::max<int64_t>(0, end - max_rows), end);
  return rows;
}

std::vector<double> Inbox::StandardDeviations() {
  MutexLock lock(mu_);
  return scale_.StandardDeviations();
}

EpisodeLog Inbox::Episodes() {
  MutexLock lock(mu_);
  return episodes_;
}

int64_t Inbox::env_steps() {
  MutexLock lock(mu_);
  return env_steps_;
}

int64_t Inbox::dropped() {
  MutexLock lock(mu_);
  return dropped_;
}

int64_t Inbox::waiting() {
  MutexLock lock(mu_);
  return waiting_;
}

}  // namespace tandem::monitor
