// The reading side of ReplayBuffer.
#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "services/replay_buffer/core/replay_buffer.h"
#include "services/replay_buffer/core/slicing.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kEpisodesPerChunk = 256;
constexpr int64_t kMaxRowsPerChunk = 1 << 16;
constexpr size_t kMaxEvaluationsTold = 1000;

}  // namespace

absl::StatusOr<std::optional<SampledBatch>> ReplayBuffer::Sample(const SampleSpec& spec,
                                                                 int64_t batch,
                                                                 int64_t through_index) {
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  const auto start = Clock::now();
  std::optional<SampledBatch> sampled;
  {
    MutexLock lock(mu_);
    TANDEM_RETURN_IF_ERROR(CheckRunning());
    if (store_ == nullptr || through_index > store_->end_index()) return std::nullopt;
    TANDEM_RETURN_IF_ERROR(ValidateSize(spec, store_->obs_dim(), store_->action_dim()));
    sampled = Slice(*store_, spec, batch, through_index);
    if (!sampled && through_index > 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "sample: expected steps of split ", static_cast<int>(spec.split), " below index ",
          through_index, ", none is held (the oldest is ", store_->begin_index(), ")"));
    }
  }
  if (sampled) {
    metrics_.sample_seconds.Observe(std::chrono::duration<double>(Clock::now() - start).count());
    metrics_.sampled(spec.kind).Increment(static_cast<double>(spec.batch_size));
  }
  return sampled;
}

absl::StatusOr<TailChunk> ReplayBuffer::ReadTail(const TailRequest& from, int64_t max_bytes) {
  if (from.from_index < 0 || from.through_index < 0 || from.split > Split::kEvaluation) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tail: expected from_index, through_index >= 0 and a split, got ", from.from_index, ", ",
        from.through_index, " and ", static_cast<int>(from.split)));
  }
  TailChunk chunk;
  chunk.next_index = from.from_index;
  chunk.next_episode = from.from_episode;
  MutexLock lock(mu_);
  TANDEM_RETURN_IF_ERROR(CheckRunning());
  if (store_ == nullptr) return chunk;
  const StepStore& store = *store_;
  chunk.transitions.obs_dim = store.obs_dim();
  chunk.transitions.action_dim = store.action_dim();
  int64_t end = store.end_index();
  if (from.through_index > 0) end = std::min(end, from.through_index);
  const int64_t row_bytes =
      BytesPerRow({.kind = SampleKind::kTransitions}, store.obs_dim(), store.action_dim());
  const int64_t max_rows = std::clamp<int64_t>(max_bytes / row_bytes, 1, kMaxRowsPerChunk);
  const int64_t last = store.CountBelow(from.split, end);
  int64_t position = store.PositionOf(from.split, from.from_index);
  for (; position < last && chunk.transitions.size() < max_rows; ++position) {
    store.CopyTo(store.IndexAt(from.split, position), &chunk.transitions);
  }
  // Everything below the next matching step has been sent, or does not match.
  const int64_t next = position < last ? store.IndexAt(from.split, position) : end;
  chunk.next_index = std::max(chunk.next_index, next);
  if (from.from_episode >= 0) {
    const int64_t first = std::max(from.from_episode, episodes_.begin());
    const int64_t episode_bytes = store.obs_dim() * static_cast<int64_t>(sizeof(float)) + 128;
    chunk.episodes =
        episodes_.Read(first, std::clamp<int64_t>(max_bytes / episode_bytes, 1, kEpisodesPerChunk));
    if (!chunk.episodes.empty()) {
      chunk.next_episode = first + static_cast<int64_t>(chunk.episodes.size());
    }
  }
  metrics_.tailed_rows.Increment(static_cast<double>(chunk.transitions.size()));
  return chunk;
}

ReplayStatus ReplayBuffer::GetStatus() {
  MutexLock lock(mu_);
  const PacePolicy& pace = desk_.pace();
  ReplayStatus status;
  if (spec_ != nullptr) {
    status.spec = *spec_;
    status.begin_index = store_->begin_index();
    status.end_index = store_->end_index();
    status.train_steps = store_->held(Split::kTrain);
    status.holdout_steps = store_->held(Split::kHoldout);
  }
  status.env_steps = index_.training_steps();
  status.episodes = finished_training_episodes_;
  status.policy_updates = pace.policy_updates();
  status.model_through_index = desk_.model_through_index();
  status.waiting_for = desk_.WaitingFor();
  status.stopped = pace.stopped();
  status.stop_reason = pace.stop_reason();
  const auto& all = pace.evaluations();
  const size_t told = std::min(all.size(), kMaxEvaluationsTold);
  status.evaluations.assign(all.end() - static_cast<std::ptrdiff_t>(told), all.end());
  return status;
}

int64_t ReplayBuffer::end_index() {
  MutexLock lock(mu_);
  return store_ == nullptr ? 0 : store_->end_index();
}

std::optional<EnvironmentSpec> ReplayBuffer::spec() {
  MutexLock lock(mu_);
  return spec_ == nullptr ? std::nullopt : std::optional<EnvironmentSpec>(*spec_);
}

}  // namespace tandem
