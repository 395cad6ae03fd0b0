#include "common/codec/data_codec.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/tensor_codec.h"

namespace tandem::codec {
namespace {

using data::v1::Tensor;

/// Room for everything in a message that is not rows.
constexpr int64_t kMessageOverhead = 4096;

void EncodeBox(const BoxSpace& box, data::v1::BoxSpace* out) {
  out->mutable_low()->Assign(box.low.begin(), box.low.end());
  out->mutable_high()->Assign(box.high.begin(), box.high.end());
}

BoxSpace DecodeBox(const data::v1::BoxSpace& message) {
  return {{message.low().begin(), message.low().end()},
          {message.high().begin(), message.high().end()}};
}

absl::StatusOr<Purpose> DecodePurpose(data::v1::Purpose purpose) {
  switch (purpose) {
    case data::v1::PURPOSE_UNSPECIFIED:
    case data::v1::PURPOSE_TRAINING:
      return Purpose::kTraining;
    case data::v1::PURPOSE_EVALUATION:
      return Purpose::kEvaluation;
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "purpose: expected training (1) or evaluation (2), got ", static_cast<int>(purpose)));
  }
}

/// Writes rows of one column, each `flat` elements, unless it was left out.
template <typename T, typename Mutable>
void Put(const std::vector<T>& column, int64_t begin, int64_t flat,
         std::initializer_list<int64_t> shape, Mutable tensor) {
  if (!column.empty()) WriteTensor(column.data() + begin * flat, shape, tensor());
}

template <typename T>
int64_t RowBytes(const std::vector<T>& column, int64_t flat) {
  return column.empty() ? 0 : flat * static_cast<int64_t>(sizeof(T));
}

int64_t RowsFor(int64_t bytes_per_row) {
  return std::max<int64_t>(
      1, (kMaxMessageBytes - kMessageOverhead) / std::max<int64_t>(1, bytes_per_row));
}

/// Size of a dimension that the other columns have to agree with.
int64_t Dim(const Tensor& tensor, int dimension) {
  return tensor.shape_size() > dimension ? tensor.shape(dimension) : 0;
}

}  // namespace

void Encode(const EnvironmentSpec& spec, data::v1::EnvironmentSpec* out) {
  out->set_name(spec.name);
  EncodeBox(spec.observation, out->mutable_observation());
  EncodeBox(spec.action, out->mutable_action());
  out->set_max_episode_steps(spec.max_episode_steps);
}

absl::StatusOr<EnvironmentSpec> Decode(const data::v1::EnvironmentSpec& message) {
  EnvironmentSpec spec;
  spec.name = message.name();
  spec.observation = DecodeBox(message.observation());
  spec.action = DecodeBox(message.action());
  spec.max_episode_steps = message.max_episode_steps();
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  return spec;
}

void Encode(const Segment& segment, data::v1::Segment* out) {
  const int64_t n = segment.size();
  const int64_t obs_dim = static_cast<int64_t>(segment.observations.size()) / (n + 1);
  const int64_t action_dim = n == 0 ? 0 : static_cast<int64_t>(segment.actions.size()) / n;
  out->set_episode_id(segment.episode_id);
  out->set_first_t(segment.first_t);
  WriteTensor(segment.observations.data(), {n + 1, obs_dim}, out->mutable_observations());
  WriteTensor(segment.actions.data(), {n, action_dim}, out->mutable_actions());
  WriteTensor(segment.rewards.data(), {n}, out->mutable_rewards());
  if (!segment.log_probs.empty()) {
    WriteTensor(segment.log_probs.data(), {n}, out->mutable_log_probs());
  }
  out->set_terminated(segment.terminated);
  out->set_truncated(segment.truncated);
  out->set_purpose(static_cast<data::v1::Purpose>(segment.purpose));
  out->set_policy_version(segment.policy_version);
  out->set_model_version(segment.model_version);
}

absl::StatusOr<Segment> Decode(const data::v1::Segment& m, const EnvironmentSpec& spec) {
  Segment s;
  s.episode_id = m.episode_id();
  s.first_t = m.first_t();
  TANDEM_RETURN_IF_ERROR(ReadTensor(m.rewards(), "segment.rewards", {kAnySize}, &s.rewards));
  const int64_t n = s.size();
  const int64_t obs_dim = spec.observation.dim();
  const int64_t action_dim = spec.action.dim();
  TANDEM_RETURN_IF_ERROR(
      ReadTensor(m.observations(), "segment.observations", {n + 1, obs_dim}, &s.observations));
  TANDEM_RETURN_IF_ERROR(ReadTensor(m.actions(), "segment.actions", {n, action_dim}, &s.actions));
  if (m.has_log_probs()) {
    TANDEM_RETURN_IF_ERROR(ReadTensor(m.log_probs(), "segment.log_probs", {n}, &s.log_probs));
  } else {
    s.log_probs.resize(static_cast<size_t>(n));
  }
  s.terminated = m.terminated();
  s.truncated = m.truncated();
  TANDEM_ASSIGN_OR_RETURN(s.purpose, DecodePurpose(m.purpose()));
  s.policy_version = m.policy_version();
  s.model_version = m.model_version();
  return s;
}

void Encode(const Episode& episode, data::v1::Episode* out) {
  out->set_episode_id(episode.episode_id);
  out->set_purpose(static_cast<data::v1::Purpose>(episode.purpose));
  out->set_episode_return(episode.episode_return);
  out->set_length(episode.length);
  out->set_terminated(episode.terminated);
  out->set_policy_version(episode.policy_version);
  WriteTensor(episode.initial_observation.data(),
              {static_cast<int64_t>(episode.initial_observation.size())},
              out->mutable_initial_observation());
  out->set_env_steps(episode.env_steps);
  out->set_evaluation_id(episode.evaluation_id);
  out->set_evaluation_size(episode.evaluation_size);
  out->set_policy_updates(episode.policy_updates);
  out->set_failure(episode.failure);
  for (const ActingPolicy& policy : episode.policies) {
    data::v1::ActingPolicy* acting = out->add_policies();
    acting->set_first_t(policy.first_t);
    acting->set_policy_version(policy.policy_version);
    acting->set_policy_updates(policy.policy_updates);
  }
}

absl::StatusOr<Episode> Decode(const data::v1::Episode& m) {
  Episode e;
  e.episode_id = m.episode_id();
  TANDEM_ASSIGN_OR_RETURN(e.purpose, DecodePurpose(m.purpose()));
  e.episode_return = m.episode_return();
  e.length = m.length();
  e.terminated = m.terminated();
  e.policy_version = m.policy_version();
  TANDEM_RETURN_IF_ERROR(ReadTensor(m.initial_observation(), "episode.initial_observation",
                                    {kAnySize}, &e.initial_observation));
  e.env_steps = m.env_steps();
  e.evaluation_id = m.evaluation_id();
  e.evaluation_size = m.evaluation_size();
  e.policy_updates = m.policy_updates();
  e.failure = m.failure();
  for (const data::v1::ActingPolicy& policy : m.policies()) {
    e.policies.push_back({policy.first_t(), policy.policy_version(), policy.policy_updates()});
  }
  return e;
}

absl::StatusOr<Split> Decode(data::v1::Split split) {
  if (split < data::v1::SPLIT_UNSPECIFIED || split > data::v1::SPLIT_EVALUATION) {
    return absl::InvalidArgumentError(
        absl::StrCat("split: expected train (1), holdout (2), evaluation (3) or all (0), got ",
                     static_cast<int>(split)));
  }
  return static_cast<Split>(split);
}

data::v1::Split Encode(Split split) { return static_cast<data::v1::Split>(split); }

void EncodeRows(const TransitionBatch& b, int64_t begin, int64_t end,
                data::v1::TransitionBatch* out) {
  const int64_t n = end - begin;
  Put(b.observations, begin, b.obs_dim, {n, b.obs_dim},
      [&] { return out->mutable_observations(); });
  Put(b.actions, begin, b.action_dim, {n, b.action_dim}, [&] { return out->mutable_actions(); });
  Put(b.rewards, begin, 1, {n}, [&] { return out->mutable_rewards(); });
  Put(b.next_observations, begin, b.obs_dim, {n, b.obs_dim},
      [&] { return out->mutable_next_observations(); });
  Put(b.terminated, begin, 1, {n}, [&] { return out->mutable_terminated(); });
  Put(b.truncated, begin, 1, {n}, [&] { return out->mutable_truncated(); });
  Put(b.indices, begin, 1, {n}, [&] { return out->mutable_indices(); });
  Put(b.episodes, begin, 1, {n}, [&] { return out->mutable_episodes(); });
  Put(b.times, begin, 1, {n}, [&] { return out->mutable_times(); });
  Put(b.policy_versions, begin, 1, {n}, [&] { return out->mutable_policy_versions(); });
  Put(b.splits, begin, 1, {n}, [&] { return out->mutable_splits(); });
}

void EncodeRows(const SequenceBatch& b, int64_t begin, int64_t end, data::v1::SequenceBatch* out) {
  const int64_t n = end - begin;
  const int64_t t = b.length;
  Put(b.observations, begin, (t + 1) * b.obs_dim, {n, t + 1, b.obs_dim},
      [&] { return out->mutable_observations(); });
  Put(b.actions, begin, t * b.action_dim, {n, t, b.action_dim},
      [&] { return out->mutable_actions(); });
  Put(b.rewards, begin, t, {n, t}, [&] { return out->mutable_rewards(); });
  Put(b.terminated, begin, t, {n, t}, [&] { return out->mutable_terminated(); });
  Put(b.mask, begin, t, {n, t}, [&] { return out->mutable_mask(); });
  Put(b.indices, begin, 1, {n}, [&] { return out->mutable_indices(); });
}

int64_t RowsPerMessage(const TransitionBatch& b) {
  return RowsFor(RowBytes(b.observations, b.obs_dim) + RowBytes(b.actions, b.action_dim) +
                 RowBytes(b.rewards, 1) + RowBytes(b.next_observations, b.obs_dim) +
                 RowBytes(b.terminated, 1) + RowBytes(b.truncated, 1) + RowBytes(b.indices, 1) +
                 RowBytes(b.episodes, 1) + RowBytes(b.times, 1) + RowBytes(b.policy_versions, 1) +
                 RowBytes(b.splits, 1));
}

int64_t RowsPerMessage(const SequenceBatch& b) {
  return RowsFor(RowBytes(b.observations, (b.length + 1) * b.obs_dim) +
                 RowBytes(b.actions, b.length * b.action_dim) + RowBytes(b.rewards, b.length) +
                 RowBytes(b.terminated, b.length) + RowBytes(b.mask, b.length) +
                 RowBytes(b.indices, 1));
}

absl::StatusOr<TransitionBatch> Decode(const data::v1::TransitionBatch& m) {
  TransitionBatch b;
  const auto column = [](bool present, const Tensor& tensor, const char* field,
                         std::initializer_list<int64_t> shape, auto* out) {
    return present ? ReadTensor(tensor, field, shape, out) : absl::OkStatus();
  };
  TANDEM_RETURN_IF_ERROR(column(m.has_observations(), m.observations(), "transitions.observations",
                                {kAnySize, kAnySize}, &b.observations));
  const int64_t n = Dim(m.observations(), 0);
  b.obs_dim = Dim(m.observations(), 1);
  b.action_dim = Dim(m.actions(), 1);
  TANDEM_RETURN_IF_ERROR(
      column(m.has_actions(), m.actions(), "transitions.actions", {n, kAnySize}, &b.actions));
  TANDEM_RETURN_IF_ERROR(
      column(m.has_rewards(), m.rewards(), "transitions.rewards", {n}, &b.rewards));
  TANDEM_RETURN_IF_ERROR(column(m.has_next_observations(), m.next_observations(),
                                "transitions.next_observations", {n, b.obs_dim},
                                &b.next_observations));
  TANDEM_RETURN_IF_ERROR(
      column(m.has_terminated(), m.terminated(), "transitions.terminated", {n}, &b.terminated));
  TANDEM_RETURN_IF_ERROR(
      column(m.has_truncated(), m.truncated(), "transitions.truncated", {n}, &b.truncated));
  TANDEM_RETURN_IF_ERROR(
      column(m.has_indices(), m.indices(), "transitions.indices", {n}, &b.indices));
  TANDEM_RETURN_IF_ERROR(
      column(m.has_episodes(), m.episodes(), "transitions.episodes", {n}, &b.episodes));
  TANDEM_RETURN_IF_ERROR(column(m.has_times(), m.times(), "transitions.times", {n}, &b.times));
  TANDEM_RETURN_IF_ERROR(column(m.has_policy_versions(), m.policy_versions(),
                                "transitions.policy_versions", {n}, &b.policy_versions));
  TANDEM_RETURN_IF_ERROR(column(m.has_splits(), m.splits(), "transitions.splits", {n}, &b.splits));
  return b;
}

absl::StatusOr<SequenceBatch> Decode(const data::v1::SequenceBatch& m) {
  SequenceBatch b;
  TANDEM_RETURN_IF_ERROR(
      ReadTensor(m.rewards(), "sequences.rewards", {kAnySize, kAnySize}, &b.rewards));
  const int64_t n = b.batch_size = m.rewards().shape(0);
  const int64_t t = b.length = m.rewards().shape(1);
  // Sizes that came from outside: t + 1 must not overflow.
  if (t > kMaxMessageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("sequences.rewards: expected at most ", kMaxMessageBytes, " steps, got ", t));
  }
  TANDEM_RETURN_IF_ERROR(ReadTensor(m.observations(), "sequences.observations",
                                    {n, t + 1, kAnySize}, &b.observations));
  TANDEM_RETURN_IF_ERROR(
      ReadTensor(m.actions(), "sequences.actions", {n, t, kAnySize}, &b.actions));
  b.obs_dim = m.observations().shape(2);
  b.action_dim = m.actions().shape(2);
  TANDEM_RETURN_IF_ERROR(ReadTensor(m.terminated(), "sequences.terminated", {n, t}, &b.terminated));
  TANDEM_RETURN_IF_ERROR(ReadTensor(m.mask(), "sequences.mask", {n, t}, &b.mask));
  TANDEM_RETURN_IF_ERROR(ReadTensor(m.indices(), "sequences.indices", {n}, &b.indices));
  return b;
}

}  // namespace tandem::codec
