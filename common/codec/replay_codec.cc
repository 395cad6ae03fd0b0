#include "common/codec/replay_codec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/data_codec.h"

namespace tandem::codec {
namespace {

template <typename T>
void Extend(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

absl::Status Append(SequenceBatch part, SequenceBatch* into) {
  if (into->batch_size == 0) {
    *into = std::move(part);
    return absl::OkStatus();
  }
  if (part.length != into->length || part.obs_dim != into->obs_dim ||
      part.action_dim != into->action_dim) {
    return absl::InvalidArgumentError(
        "sequences: expected the sizes of the batch's earlier part, got others");
  }
  into->batch_size += part.batch_size;
  Extend(into->observations, part.observations);
  Extend(into->actions, part.actions);
  Extend(into->rewards, part.rewards);
  Extend(into->terminated, part.terminated);
  Extend(into->mask, part.mask);
  Extend(into->indices, part.indices);
  return absl::OkStatus();
}

absl::Status Append(TransitionBatch part, TransitionBatch* into) {
  if (into->size() == 0) {
    *into = std::move(part);
    return absl::OkStatus();
  }
  if (part.obs_dim != into->obs_dim || part.action_dim != into->action_dim) {
    return absl::InvalidArgumentError(
        "transitions: expected the sizes of the batch's earlier part, got others");
  }
  into->Append(part);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AppendContent> Decode(const replay::v1::AppendRequest& message,
                                     const EnvironmentSpec& spec) {
  int64_t bytes = 0;
  for (const auto& segment : message.segments())
    bytes += static_cast<int64_t>(segment.ByteSizeLong());
  if (bytes > kMaxMessageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("append: segments: expected at most 1 MiB, got ", bytes, " bytes"));
  }
  AppendContent content;
  content.segments.reserve(static_cast<size_t>(message.segments_size()));
  for (const auto& segment : message.segments()) {
    TANDEM_ASSIGN_OR_RETURN(content.segments.emplace_back(), Decode(segment, spec));
  }
  for (const auto& episode : message.episodes()) {
    TANDEM_ASSIGN_OR_RETURN(content.episodes.emplace_back(), Decode(episode));
  }
  return content;
}

void Encode(const std::string& writer, uint64_t epoch, uint64_t sequence,
            const std::vector<Segment>& segments, const std::vector<Episode>& episodes,
            replay::v1::AppendRequest* out) {
  out->set_writer(writer);
  out->set_epoch(epoch);
  out->set_sequence(sequence);
  for (const Segment& segment : segments) Encode(segment, out->add_segments());
  for (const Episode& episode : episodes) Encode(episode, out->add_episodes());
}

void Encode(const Progress& progress, absl::Duration wait, replay::v1::AdvanceRequest* out) {
  out->set_role(static_cast<replay::v1::Role>(progress.role));
  out->set_member(progress.member);
  out->set_wanted(progress.wanted);
  out->set_policy_updates(progress.policy_updates);
  out->set_model_through_index(progress.model_through_index);
  out->set_held_policy_updates(progress.held_policy_updates);
  out->set_judged_through_index(progress.judged_through_index);
  out->set_directive_version(progress.directive_version);
  out->set_updates_per_step(progress.updates_per_step);
  out->set_fitted_through_index(progress.fitted_through_index);
  out->set_policy_pause(progress.policy_pause);
  const int64_t nanos =
      absl::ToInt64Nanoseconds(std::clamp(wait, absl::ZeroDuration(), absl::Seconds(10)));
  out->mutable_wait()->set_seconds(nanos / 1'000'000'000);
  out->mutable_wait()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
}

absl::StatusOr<Progress> Decode(const replay::v1::AdvanceRequest& message) {
  if (message.role() < replay::v1::ROLE_ACTOR || message.role() > replay::v1::ROLE_MONITOR) {
    return absl::InvalidArgumentError(
        absl::StrCat("advance: role: expected actor (1), model trainer (2), policy trainer (3) or "
                     "monitor (4), got ",
                     static_cast<int>(message.role())));
  }
  Progress progress;
  progress.role = static_cast<Role>(message.role());
  progress.member = message.member();
  progress.wanted = message.wanted();
  progress.policy_updates = message.policy_updates();
  progress.model_through_index = message.model_through_index();
  progress.held_policy_updates = message.held_policy_updates();
  progress.judged_through_index = message.judged_through_index();
  progress.directive_version = message.directive_version();
  progress.updates_per_step = message.updates_per_step();
  progress.fitted_through_index = message.fitted_through_index();
  progress.policy_pause = message.policy_pause();
  return progress;
}

absl::Duration DecodeWait(const replay::v1::AdvanceRequest& message) {
  const absl::Duration wait =
      absl::Seconds(message.wait().seconds()) + absl::Nanoseconds(message.wait().nanos());
  return std::clamp(wait, absl::ZeroDuration(), absl::Seconds(10));
}

void Encode(const Grant& grant, replay::v1::AdvanceResponse* out) {
  out->set_granted(grant.granted);
  out->set_through_index(grant.through_index);
  out->set_policy_updates(grant.policy_updates);
  out->set_model_through_index(grant.model_through_index);
  out->set_random_actions(grant.random_actions);
  out->set_evaluate(grant.evaluate);
  out->set_stop(grant.stop);
  out->set_waiting_for(grant.waiting_for);
  out->set_env_steps(grant.env_steps);
  out->set_directive_version(grant.directive_version);
}

Grant Decode(const replay::v1::AdvanceResponse& message) {
  Grant grant;
  grant.granted = message.granted();
  grant.through_index = message.through_index();
  grant.policy_updates = message.policy_updates();
  grant.model_through_index = message.model_through_index();
  grant.random_actions = message.random_actions();
  grant.evaluate = message.evaluate();
  grant.stop = message.stop();
  grant.waiting_for = message.waiting_for();
  grant.env_steps = message.env_steps();
  grant.directive_version = message.directive_version();
  return grant;
}

void Encode(const ReplayStatus& status, replay::v1::GetStatusResponse* out) {
  if (status.spec) Encode(*status.spec, out->mutable_spec());
  out->set_begin_index(status.begin_index);
  out->set_end_index(status.end_index);
  out->set_env_steps(status.env_steps);
  out->set_train_steps(status.train_steps);
  out->set_holdout_steps(status.holdout_steps);
  out->set_episodes(status.episodes);
  out->set_policy_updates(status.policy_updates);
  out->set_model_through_index(status.model_through_index);
  for (const auto& [role, reason] : status.waiting_for)
    (*out->mutable_waiting_for())[role] = reason;
  out->set_stopped(status.stopped);
  out->set_stop_reason(status.stop_reason);
  for (const EvaluationResult& result : status.evaluations) {
    auto* evaluation = out->add_evaluations();
    evaluation->set_env_steps(result.env_steps);
    evaluation->set_mean_return(result.mean_return);
    evaluation->set_episodes(result.episodes);
    evaluation->set_policy_updates(result.policy_updates);
  }
}

absl::StatusOr<ReplayStatus> Decode(const replay::v1::GetStatusResponse& message) {
  ReplayStatus status;
  if (message.has_spec()) {
    TANDEM_ASSIGN_OR_RETURN(status.spec, Decode(message.spec()));
  }
  status.begin_index = message.begin_index();
  status.end_index = message.end_index();
  status.env_steps = message.env_steps();
  status.train_steps = message.train_steps();
  status.holdout_steps = message.holdout_steps();
  status.episodes = message.episodes();
  status.policy_updates = message.policy_updates();
  status.model_through_index = message.model_through_index();
  for (const auto& [role, reason] : message.waiting_for()) status.waiting_for[role] = reason;
  status.stopped = message.stopped();
  status.stop_reason = message.stop_reason();
  for (const auto& evaluation : message.evaluations()) {
    status.evaluations.push_back({evaluation.env_steps(), evaluation.mean_return(),
                                  evaluation.episodes(), evaluation.policy_updates()});
  }
  return status;
}

absl::StatusOr<SampleSpec> Decode(const replay::v1::SampleSpec& message) {
  SampleSpec spec;
  spec.kind = static_cast<SampleKind>(message.kind());
  spec.batch_size = message.batch_size();
  spec.sequence_length = message.sequence_length();
  spec.seed = message.seed();
  TANDEM_ASSIGN_OR_RETURN(spec.split, Decode(message.split()));
  if (spec.split == Split::kAll) spec.split = Split::kTrain;
  return spec;
}

void Encode(const SampleSpec& spec, replay::v1::SampleSpec* out) {
  out->set_kind(static_cast<replay::v1::SampleKind>(spec.kind));
  out->set_batch_size(spec.batch_size);
  out->set_sequence_length(spec.sequence_length);
  out->set_seed(spec.seed);
  out->set_split(Encode(spec.split));
}

int64_t EncodePart(const SampledBatch& sampled, int64_t batch, int64_t first_row,
                   replay::v1::SampleResponse* out) {
  out->set_batch(batch);
  out->set_first_row(first_row);
  out->set_through_index(sampled.through_index);
  const bool sequences = sampled.sequences.batch_size > 0;
  const int64_t rows = sequences ? sampled.sequences.batch_size : sampled.transitions.size();
  const int64_t room =
      sequences ? RowsPerMessage(sampled.sequences) : RowsPerMessage(sampled.transitions);
  const int64_t end = std::min(rows, first_row + room);
  if (sequences) {
    EncodeRows(sampled.sequences, first_row, end, out->mutable_sequences());
  } else {
    EncodeRows(sampled.transitions, first_row, end, out->mutable_transitions());
  }
  out->set_last(end == rows);
  return end;
}

absl::Status DecodePart(const replay::v1::SampleResponse& message, const SampleSpec& spec,
                        SampledBatch* into) {
  const auto rows = [into] {
    return std::max(into->transitions.size(), into->sequences.batch_size);
  };
  if (message.first_row() != rows()) {
    return absl::InvalidArgumentError(
        absl::StrCat("sample: first_row: expected ", rows(), ", got ", message.first_row()));
  }
  const bool sequences = spec.kind == SampleKind::kSequences;
  if (sequences ? !message.has_sequences() : !message.has_transitions()) {
    return absl::InvalidArgumentError(absl::StrCat("sample: rows: expected ",
                                                   sequences ? "sequences" : "transitions",
                                                   ", got others or none"));
  }
  into->through_index = message.through_index();
  if (sequences) {
    TANDEM_ASSIGN_OR_RETURN(SequenceBatch part, Decode(message.sequences()));
    TANDEM_RETURN_IF_ERROR(Append(std::move(part), &into->sequences));
  } else {
    TANDEM_ASSIGN_OR_RETURN(TransitionBatch part, Decode(message.transitions()));
    TANDEM_RETURN_IF_ERROR(Append(std::move(part), &into->transitions));
  }
  if (rows() > spec.batch_size || (message.last() && rows() != spec.batch_size)) {
    return absl::InvalidArgumentError(absl::StrCat("sample: expected a batch of ", spec.batch_size,
                                                   " rows, got ", rows(),
                                                   message.last() ? "" : " and more to come"));
  }
  return absl::OkStatus();
}

absl::StatusOr<TailRequest> Decode(const replay::v1::TailRequest& message) {
  TailRequest request;
  request.from_index = message.from_index();
  TANDEM_ASSIGN_OR_RETURN(request.split, Decode(message.split()));
  request.through_index = message.through_index();
  request.from_episode = message.from_episode();
  return request;
}

void Encode(const TailRequest& request, replay::v1::TailRequest* out) {
  out->set_from_index(request.from_index);
  out->set_split(Encode(request.split));
  out->set_through_index(request.through_index);
  out->set_from_episode(request.from_episode);
}

void Encode(const TailChunk& chunk, replay::v1::TailResponse* out) {
  if (chunk.transitions.size() > 0) {
    EncodeRows(chunk.transitions, 0, chunk.transitions.size(), out->mutable_transitions());
  }
  out->set_next_index(chunk.next_index);
  for (const Episode& episode : chunk.episodes) Encode(episode, out->add_episodes());
  out->set_next_episode(chunk.next_episode);
}

absl::StatusOr<TailChunk> Decode(const replay::v1::TailResponse& message) {
  TailChunk chunk;
  TANDEM_ASSIGN_OR_RETURN(chunk.transitions, Decode(message.transitions()));
  chunk.next_index = message.next_index();
  for (const auto& episode : message.episodes()) {
    TANDEM_ASSIGN_OR_RETURN(chunk.episodes.emplace_back(), Decode(episode));
  }
  chunk.next_episode = message.next_episode();
  return chunk;
}

}  // namespace tandem::codec
