#include "services/replay_buffer/core/slicing.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"

namespace tandem {
namespace {

constexpr int64_t kMaxBatchRows = 1'000'000;
constexpr int64_t kMaxSequenceLength = 4096;
constexpr int64_t kMaxRowBytes = int64_t{3} << 20;
constexpr int64_t kMaxBatchBytes = int64_t{1} << 30;

absl::Status OutOfRange(const char* field, const std::string& expected, int64_t got) {
  return absl::InvalidArgumentError(
      absl::StrCat("sample spec: ", field, ": expected ", expected, ", got ", got));
}

/// Global indices of the rows of one batch.
std::vector<int64_t> Draw(const StepStore& store, const SampleSpec& spec, int64_t batch,
                          int64_t through) {
  const int64_t count = store.CountBelow(spec.split, through);
  if (count == 0) return {};
  Rng rng(spec.seed, absl::StrCat("sample/", static_cast<int>(spec.kind), "/", batch));
  std::vector<int64_t> rows(static_cast<size_t>(spec.batch_size));
  for (int64_t& row : rows) {
    row = store.IndexAt(spec.split, static_cast<int64_t>(rng.Below(static_cast<uint64_t>(count))));
  }
  return rows;
}

void Reserve(size_t rows, TransitionBatch* out) {
  out->observations.reserve(rows * static_cast<size_t>(out->obs_dim));
  out->actions.reserve(rows * static_cast<size_t>(out->action_dim));
  out->next_observations.reserve(rows * static_cast<size_t>(out->obs_dim));
}

void CutWindow(const StepStore& store, int64_t first, int64_t through, int64_t row,
               SequenceBatch* out) {
  const int64_t length = out->length;
  const auto put = [](std::span<const float> from, std::vector<float>& to, int64_t position) {
    std::copy(from.begin(), from.end(), to.begin() + position * static_cast<int64_t>(from.size()));
  };
  int64_t index = first;
  for (int64_t t = 0; t < length; ++t) {
    const auto cell = static_cast<size_t>(row * length + t);
    put(store.observation(index), out->observations, row * (length + 1) + t);
    put(store.action(index), out->actions, row * length + t);
    out->rewards[cell] = store.reward(index);
    out->terminated[cell] = store.terminated(index) ? 1 : 0;
    out->mask[cell] = 1;
    const int64_t next = store.next(index);
    if (t + 1 == length || next < 0 || next >= through) {
      put(store.next_observation(index), out->observations, row * (length + 1) + t + 1);
      return;
    }
    index = next;
  }
}

SequenceBatch CutWindows(const StepStore& store, const SampleSpec& spec, int64_t through,
                         std::vector<int64_t> rows) {
  SequenceBatch out;
  out.batch_size = spec.batch_size;
  out.length = spec.sequence_length;
  out.obs_dim = store.obs_dim();
  out.action_dim = store.action_dim();
  const int64_t cells = out.batch_size * out.length;
  out.observations.resize(static_cast<size_t>((cells + out.batch_size) * out.obs_dim));
  out.actions.resize(static_cast<size_t>(cells * out.action_dim));
  out.rewards.resize(static_cast<size_t>(cells));
  out.terminated.resize(static_cast<size_t>(cells));
  out.mask.resize(static_cast<size_t>(cells));
  for (size_t row = 0; row < rows.size(); ++row) {
    CutWindow(store, rows[row], through, static_cast<int64_t>(row), &out);
  }
  out.indices = std::move(rows);
  return out;
}

}  // namespace

absl::Status Validate(const SampleSpec& spec) {
  if (spec.kind < SampleKind::kTransitions || spec.kind > SampleKind::kStartStates) {
    return OutOfRange("kind", "transitions (1), sequences (2) or start states (3)",
                      static_cast<int64_t>(spec.kind));
  }
  if (spec.batch_size < 1 || spec.batch_size > kMaxBatchRows) {
    return OutOfRange("batch_size", "1 to 1000000 rows", spec.batch_size);
  }
  const bool sequences = spec.kind == SampleKind::kSequences;
  if (sequences && (spec.sequence_length < 1 || spec.sequence_length > kMaxSequenceLength)) {
    return OutOfRange("sequence_length", "1 to 4096 steps", spec.sequence_length);
  }
  if (!sequences && spec.sequence_length != 0) {
    return OutOfRange("sequence_length", "0 for this kind", spec.sequence_length);
  }
  if (spec.split > Split::kEvaluation) {
    return OutOfRange("split", "a split", static_cast<int64_t>(spec.split));
  }
  return absl::OkStatus();
}

int64_t BytesPerRow(const SampleSpec& spec, int64_t obs_dim, int64_t action_dim) {
  constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
  switch (spec.kind) {
    case SampleKind::kStartStates:
      return obs_dim * kFloat;
    case SampleKind::kTransitions:
      return (2 * obs_dim + action_dim + 1) * kFloat + 3 + 4 * 8;
    case SampleKind::kSequences:
      break;
  }
  return spec.sequence_length * ((obs_dim + action_dim + 1) * kFloat + 2) + obs_dim * kFloat + 8;
}

absl::Status ValidateSize(const SampleSpec& spec, int64_t obs_dim, int64_t action_dim) {
  const int64_t row = BytesPerRow(spec, obs_dim, action_dim);
  if (row > kMaxRowBytes) return OutOfRange("row", "at most 3 MiB", row);
  if (row * spec.batch_size > kMaxBatchBytes) {
    return OutOfRange("batch", "at most 1 GiB", row * spec.batch_size);
  }
  return absl::OkStatus();
}

std::optional<SampledBatch> Slice(const StepStore& store, const SampleSpec& spec, int64_t batch,
                                  int64_t through_index) {
  SampledBatch out;
  out.through_index = through_index > 0 ? through_index : store.end_index();
  std::vector<int64_t> rows = Draw(store, spec, batch, out.through_index);
  if (rows.empty()) return std::nullopt;
  if (spec.kind == SampleKind::kSequences) {
    out.sequences = CutWindows(store, spec, out.through_index, std::move(rows));
    return out;
  }
  TransitionBatch& transitions = out.transitions;
  transitions.obs_dim = store.obs_dim();
  if (spec.kind == SampleKind::kStartStates) {
    transitions.observations.reserve(rows.size() * static_cast<size_t>(store.obs_dim()));
    for (const int64_t index : rows) {
      const auto observation = store.observation(index);
      transitions.observations.insert(transitions.observations.end(), observation.begin(),
                                      observation.end());
    }
    return out;
  }
  transitions.action_dim = store.action_dim();
  Reserve(rows.size(), &transitions);
  for (const int64_t index : rows) store.CopyTo(index, &transitions);
  return out;
}

}  // namespace tandem
