#include "services/monitor/core/inbox.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "common/data/finite.h"
#include "common/data/rows.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

constexpr int64_t kBlockRows = 256;

bool RowIsFinite(const TransitionBatch& steps, int64_t row) {
  return std::isfinite(steps.rewards[row]) &&
         AllFinite(Row(steps.observations, row, steps.obs_dim)) &&
         AllFinite(Row(steps.next_observations, row, steps.obs_dim)) &&
         AllFinite(Row(steps.actions, row, steps.action_dim));
}

}  // namespace

void RecentRows::Add(const TransitionBatch& steps, int64_t row) {
  if (rows_.size() == 0) rows_ = EmptyLike(steps);
  rows_.Append(steps, row, row + 1);
  if (rows_.size() < 2 * capacity_) return;
  TransitionBatch newest = EmptyLike(rows_);
  newest.Append(rows_, rows_.size() - capacity_, rows_.size());
  rows_ = std::move(newest);
}

TransitionBatch RecentRows::Below(int64_t through_index) const {
  int64_t end = rows_.size();
  while (end > 0 && rows_.indices[end - 1] >= through_index) --end;
  TransitionBatch rows = EmptyLike(rows_);
  if (end > 0) rows.Append(rows_, std::max<int64_t>(0, end - capacity_), end);
  return rows;
}

void Inbox::SetRun(const EnvironmentSpec& spec, int64_t env_steps, int64_t end_index) {
  MutexLock lock(mu_);
  spec_ = spec;
  env_steps_ = env_steps;
  counted_through_ = end_index;
}

void Inbox::AddSteps(const TransitionBatch& steps) {
  MutexLock lock(mu_);
  const std::vector<float> origin(steps.obs_dim, 0);
  for (int64_t row = 0; row < steps.size(); ++row) {
    const Split split = static_cast<Split>(steps.splits[row]);
    if (split != Split::kEvaluation && steps.indices[row] >= counted_through_) {
      ++env_steps_;
      counted_through_ = steps.indices[row] + 1;
    }
    if (!RowIsFinite(steps, row)) {
      ++nonfinite_;
      continue;
    }
    const auto observation = Row(steps.observations, row, steps.obs_dim);
    output_scale_.Add(observation, Row(steps.next_observations, row, steps.obs_dim),
                      steps.rewards[row]);
    state_scale_.Add(origin, observation, steps.rewards[row]);
    if (split == Split::kHoldout) heldout_.Add(steps, row);
    if (split == Split::kTrain) train_.Add(steps, row);
    if (steps.policy_versions[row] > 0) AddFresh(steps, row);
  }
}

void Inbox::AddFresh(const TransitionBatch& steps, int64_t row) {
  if (fresh_.empty() || fresh_.back().size() >= kBlockRows) fresh_.push_back(EmptyLike(steps));
  fresh_.back().Append(steps, row, row + 1);
  ++waiting_;
  if (waiting_ <= fresh_capacity_) return;
  TransitionBatch rest = EmptyLike(fresh_.front());
  rest.Append(fresh_.front(), 1, fresh_.front().size());
  --waiting_;
  ++dropped_;
  fresh_.front() = std::move(rest);
  if (fresh_.front().size() == 0) fresh_.pop_front();
}

void Inbox::AddEpisodes(const std::vector<Episode>& episodes) {
  MutexLock lock(mu_);
  for (const Episode& episode : episodes) episodes_.Add(episode);
}

void Inbox::SetReadIndex(int64_t index) {
  MutexLock lock(mu_);
  read_index_ = index;
}

std::optional<EnvironmentSpec> Inbox::spec() {
  MutexLock lock(mu_);
  return spec_;
}

TransitionBatch Inbox::TakeFresh() {
  MutexLock lock(mu_);
  TransitionBatch rows;
  for (const TransitionBatch& block : fresh_) {
    if (rows.size() == 0) rows = EmptyLike(block);
    rows.Append(block);
  }
  fresh_.clear();
  waiting_ = 0;
  return rows;
}

TransitionBatch Inbox::Heldout(int64_t through_index) {
  MutexLock lock(mu_);
  return heldout_.Below(through_index);
}

TransitionBatch Inbox::Train(int64_t through_index) {
  MutexLock lock(mu_);
  return train_.Below(through_index);
}

WorldFigures Inbox::World() {
  MutexLock lock(mu_);
  return {output_scale_.StandardDeviations(), state_scale_.StandardDeviations(),
          episodes_.training_return(), episodes_.evaluation_return(), episodes_.return_scale()};
}

ReturnMemory Inbox::Returns() {
  MutexLock lock(mu_);
  return episodes_.memory();
}

void Inbox::RestoreReturns(const ReturnMemory& memory) {
  MutexLock lock(mu_);
  episodes_.Restore(memory);
}

std::vector<Episode> Inbox::TakeTrainingEpisodes(int64_t env_steps) {
  MutexLock lock(mu_);
  return episodes_.TakeTraining(env_steps);
}

std::vector<Evaluation> Inbox::TakeEvaluations() {
  MutexLock lock(mu_);
  return episodes_.TakeEvaluations();
}

int64_t Inbox::env_steps() {
  MutexLock lock(mu_);
  return env_steps_;
}

int64_t Inbox::read_index() {
  MutexLock lock(mu_);
  return read_index_;
}

int64_t Inbox::dropped() {
  MutexLock lock(mu_);
  return dropped_;
}

int64_t Inbox::nonfinite() {
  MutexLock lock(mu_);
  return nonfinite_;
}

}  // namespace tandem::monitor
