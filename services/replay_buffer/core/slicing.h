#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "common/clients/replay_client.h"
#include "services/replay_buffer/core/step_store.h"

namespace tandem {

/// Checks everything of a sample spec that does not depend on the dimensions of the steps.
absl::Status Validate(const SampleSpec& spec);

/// Memory of one row of a batch [bytes].
int64_t BytesPerRow(const SampleSpec& spec, int64_t obs_dim, int64_t action_dim);

/// INVALID_ARGUMENT where a row of the batch is too long for a message, or the whole batch for
/// memory.
absl::Status ValidateSize(const SampleSpec& spec, int64_t obs_dim, int64_t action_dim);

/// Cuts batch number `batch` of a sample stream out of the store: rows drawn uniformly, with
/// replacement, from the steps of the split that are held and below `through_index` (0: all).
///
/// A pure function of the arguments and of the store's bounds: each batch has its own random
/// numbers, derived from the spec's seed and the number of the batch, so it does not matter which
/// batches were cut before. Nothing when there is no such step.
///
/// Start states are the observations of stored steps, so the state after a terminal step, from
/// which nothing can be imagined, is never one. A window of a sequence follows its episode and
/// ends, masked, where the episode ends, where its next step is not stored yet, or at
/// through_index.
std::optional<SampledBatch> Slice(const StepStore& store, const SampleSpec& spec, int64_t batch,
                                  int64_t through_index);

}  // namespace tandem
