#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/data/batch.h"
#include "common/data/spec.h"
#include "tandem/data/v1/data.pb.h"

namespace tandem::codec {

/// Between the messages of tandem.data.v1 and plain data. Decoding checks every type, shape and
/// length: INVALID_ARGUMENT names the field, what was expected and what came. Encoding expects data
/// whose columns agree, and adds to an empty message.

/// Size above which a message is not sent [bytes].
inline constexpr int64_t kMaxMessageBytes = int64_t{1} << 20;

void Encode(const EnvironmentSpec& spec, data::v1::EnvironmentSpec* out);
/// Also keeps the rules of Validate(EnvironmentSpec).
absl::StatusOr<EnvironmentSpec> Decode(const data::v1::EnvironmentSpec& message);

void Encode(const Segment& segment, data::v1::Segment* out);
/// Shapes as the spec says; log_probs left out become zeros. Whether the numbers are finite is left
/// to Validate(Segment).
absl::StatusOr<Segment> Decode(const data::v1::Segment& message, const EnvironmentSpec& spec);

void Encode(const Episode& episode, data::v1::Episode* out);
absl::StatusOr<Episode> Decode(const data::v1::Episode& message);

absl::StatusOr<Split> Decode(data::v1::Split split);
data::v1::Split Encode(Split split);

/// Rows [begin, end) of a batch; columns that are empty are left out of the message.
void EncodeRows(const TransitionBatch& batch, int64_t begin, int64_t end,
                data::v1::TransitionBatch* out);
void EncodeRows(const SequenceBatch& batch, int64_t begin, int64_t end,
                data::v1::SequenceBatch* out);
/// Rows that fit in one message with the columns present, at least 1.
int64_t RowsPerMessage(const TransitionBatch& batch);
int64_t RowsPerMessage(const SequenceBatch& batch);

/// Columns left out of the message are empty; without observations the batch has no rows.
absl::StatusOr<TransitionBatch> Decode(const data::v1::TransitionBatch& message);
absl::StatusOr<SequenceBatch> Decode(const data::v1::SequenceBatch& message);

}  // namespace tandem::codec
