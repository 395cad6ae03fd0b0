#include "services/monitor/core/ingest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace tandem::monitor {
namespace {

/// The tail's columns as this service needs them.
absl::Status Check(const TransitionBatch& steps, const EnvironmentSpec& spec) {
  const int64_t rows = steps.size();
  if (rows == 0) return absl::OkStatus();
  if (steps.obs_dim != spec.observation.dim() || steps.action_dim != spec.action.dim()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the replay buffer sent steps of ", steps.obs_dim, " observation and ", steps.action_dim,
        " action elements; expected ", spec.observation.dim(), " and ", spec.action.dim()));
  }
  const auto fits = [rows](const auto& column, int64_t width) {
    return static_cast<int64_t>(column.size()) == rows * width;
  };
  if (!fits(steps.actions, steps.action_dim) || !fits(steps.rewards, 1) ||
      !fits(steps.next_observations, steps.obs_dim) || !fits(steps.terminated, 1) ||
      !fits(steps.truncated, 1) || !fits(steps.indices, 1) || !fits(steps.episodes, 1) ||
      !fits(steps.times, 1) || !fits(steps.policy_versions, 1) || !fits(steps.splits, 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the replay buffer sent ", rows, " steps with a column missing or of another length"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Ingest::Open() {
  TANDEM_ASSIGN_OR_RETURN(const ReplayStatus status, replay_->GetStatus());
  if (!status.spec.has_value()) {
    return absl::FailedPreconditionError("no actor has announced its environment yet");
  }
  if (next_index_ < 0) {
    next_index_ = std::max(status.begin_index, status.end_index - backlog_);
  } else if (next_index_ > status.end_index) {
    LogWarning(absl::StrCat("the replay buffer went back from step ", next_index_, " to ",
                            status.end_index, "; following from there"));
    next_index_ = status.end_index;
    next_episode_ = 0;
  }
  spec_ = *status.spec;
  inbox_->SetRun(spec_, status.env_steps, status.end_index);
  inbox_->SetReadIndex(next_index_);
  TailRequest request;
  request.from_index = next_index_;
  request.from_episode = next_episode_;
  TANDEM_ASSIGN_OR_RETURN(tail_, replay_->OpenTail(request));
  return absl::OkStatus();
}

absl::Status Ingest::ReadChunk(absl::Duration timeout) {
  if (tail_ == nullptr) TANDEM_RETURN_IF_ERROR(Open());
  absl::StatusOr<TailChunk> chunk = tail_->Receive(timeout);
  if (absl::IsDeadlineExceeded(chunk.status())) return absl::OkStatus();
  absl::Status status = chunk.status();
  if (status.ok()) status = Check(chunk->transitions, spec_);
  if (!status.ok()) {
    tail_.reset();
    return status;
  }
  inbox_->AddSteps(chunk->transitions);
  inbox_->AddEpisodes(chunk->episodes);
  next_index_ = chunk->next_index;
  next_episode_ = std::max(next_episode_, chunk->next_episode);
  inbox_->SetReadIndex(next_index_);
  return absl::OkStatus();
}

}  // namespace tandem::monitor
