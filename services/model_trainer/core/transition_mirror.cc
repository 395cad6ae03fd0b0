#include "services/model_trainer/core/transition_mirror.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/transient.h"
#include "common/training/peer_wait.h"

namespace tandem::model_trainer {
namespace {

constexpr absl::Duration kReceiveTimeout = absl::Seconds(2);
/// Granted steps are there already: a buffer that sends none of them has lost them, and the grant
/// is void. The trainer then asks for a new one.
constexpr int kMostSilentWaits = 5;

/// Drops the first `rows` rows of a column.
template <typename T>
void DropFront(std::vector<T>& column, int64_t rows, int64_t width) {
  column.erase(column.begin(), column.begin() + rows * width);
}

/// Frees the columns that no fit reads.
void KeepFitColumns(TransitionBatch& batch) {
  batch.truncated.clear();
  batch.episodes.clear();
  batch.times.clear();
  batch.policy_versions.clear();
  batch.splits.clear();
}

}  // namespace

TransitionMirror::TransitionMirror(ReplayClient& replay, const EnvironmentSpec& spec, Split split,
                                   int64_t capacity, StopSignal& stop, Clock& clock)
    : replay_(replay),
      obs_dim_(spec.observation.dim()),
      action_dim_(spec.action.dim()),
      split_(split),
      capacity_(capacity),
      stop_(stop),
      clock_(clock) {
  Clear();
}

void TransitionMirror::Clear() {
  rows_ = TransitionBatch{.obs_dim = obs_dim_, .action_dim = action_dim_};
  next_index_ = 0;
}

absl::Status TransitionMirror::Update(int64_t through_index) {
  training::PeerWait wait("the replay buffer", stop_, clock_);
  while (next_index_ < through_index) {
    const absl::Status status = Fetch(through_index);
    if (status.ok()) break;
    if (absl::IsDeadlineExceeded(status) || !IsTransient(status)) return status;
    if (!wait.Pause(status)) return absl::CancelledError("stopped while fetching transitions");
  }
  wait.Succeeded();
  DropEvicted();
  return absl::OkStatus();
}

absl::Status TransitionMirror::Fetch(int64_t through_index) {
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<TailStream> tail,
                          replay_.OpenTail({.from_index = next_index_,
                                            .split = split_,
                                            .through_index = through_index,
                                            .from_episode = -1}));
  int silent_waits = 0;
  while (!stop_.stopped()) {
    absl::StatusOr<TailChunk> chunk = tail->Receive(kReceiveTimeout);
    if (absl::IsOutOfRange(chunk.status())) {
      next_index_ = through_index;
      return absl::OkStatus();
    }
    if (absl::IsDeadlineExceeded(chunk.status()) && ++silent_waits < kMostSilentWaits) continue;
    TANDEM_RETURN_IF_ERROR(chunk.status());
    silent_waits = 0;
    TANDEM_RETURN_IF_ERROR(Take(*chunk));
  }
  return absl::CancelledError("stopped while fetching transitions");
}

absl::Status TransitionMirror::Take(TailChunk& chunk) {
  TransitionBatch& batch = chunk.transitions;
  const int64_t rows = batch.size();
  if (rows > 0) {
    const auto has = [rows](const auto& column, int64_t width) {
      return static_cast<int64_t>(column.size()) == rows * width;
    };
    if (batch.obs_dim != obs_dim_ || batch.action_dim != action_dim_ ||
        !has(batch.observations, obs_dim_) || !has(batch.actions, action_dim_) ||
        !has(batch.rewards, 1) || !has(batch.next_observations, obs_dim_) ||
        !has(batch.terminated, 1) || !has(batch.indices, 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tail: expected whole rows of ", obs_dim_, " observations and ", action_dim_,
                       " actions, got rows of ", batch.obs_dim, " and ", batch.action_dim,
                       " or a column of another length"));
    }
    if (batch.indices.front() < next_index_ || chunk.next_index <= batch.indices.back()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tail: expected rows from index ", next_index_, " in order, got ", batch.indices.front(),
          " to ", batch.indices.back(), " with next index ", chunk.next_index));
    }
    KeepFitColumns(batch);
    rows_.Append(batch);
  }
  next_index_ = std::max(next_index_, chunk.next_index);
  return absl::OkStatus();
}

void TransitionMirror::DropEvicted() {
  const auto first_kept =
      std::lower_bound(rows_.indices.begin(), rows_.indices.end(), next_index_ - capacity_);
  const int64_t gone = first_kept - rows_.indices.begin();
  if (gone == 0) return;
  DropFront(rows_.observations, gone, obs_dim_);
  DropFront(rows_.actions, gone, action_dim_);
  DropFront(rows_.rewards, gone, 1);
  DropFront(rows_.next_observations, gone, obs_dim_);
  DropFront(rows_.terminated, gone, 1);
  DropFront(rows_.indices, gone, 1);
}

}  // namespace tandem::model_trainer
