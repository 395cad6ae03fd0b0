#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/data/replay_types.h"
#include "tandem/replay/v1/replay.pb.h"

namespace tandem::codec {

/// Between the messages of tandem.replay.v1 and plain data; see data_codec.h.

/// An AppendRequest as plain data.
struct AppendContent {
  std::vector<Segment> segments;
  std::vector<Episode> episodes;
};

/// INVALID_ARGUMENT also where the steps are more than 1 MiB.
absl::StatusOr<AppendContent> Decode(const replay::v1::AppendRequest& message,
                                     const EnvironmentSpec& spec);
void Encode(const std::string& writer, uint64_t epoch, uint64_t sequence,
            const std::vector<Segment>& segments, const std::vector<Episode>& episodes,
            replay::v1::AppendRequest* out);

void Encode(const Progress& progress, absl::Duration wait, replay::v1::AdvanceRequest* out);
absl::StatusOr<Progress> Decode(const replay::v1::AdvanceRequest& message);
/// The request's wait: 0 where it is unset or negative, at most 10 s.
absl::Duration DecodeWait(const replay::v1::AdvanceRequest& message);

void Encode(const Grant& grant, replay::v1::AdvanceResponse* out);
Grant Decode(const replay::v1::AdvanceResponse& message);

void Encode(const ReplayStatus& status, replay::v1::GetStatusResponse* out);
absl::StatusOr<ReplayStatus> Decode(const replay::v1::GetStatusResponse& message);

/// A split that is unset means the training split.
absl::StatusOr<SampleSpec> Decode(const replay::v1::SampleSpec& message);
void Encode(const SampleSpec& spec, replay::v1::SampleSpec* out);

/// One message of batch number `batch`, from `first_row` on. Returns the row at which the next
/// message starts; the batch's size after the last.
int64_t EncodePart(const SampledBatch& sampled, int64_t batch, int64_t first_row,
                   replay::v1::SampleResponse* out);
/// Adds a part to the rows that came before it. INVALID_ARGUMENT where it does not follow them or
/// is not what `spec` asks for: rows of another kind, more than batch_size, or fewer after the
/// last.
absl::Status DecodePart(const replay::v1::SampleResponse& message, const SampleSpec& spec,
                        SampledBatch* into);

absl::StatusOr<TailRequest> Decode(const replay::v1::TailRequest& message);
void Encode(const TailRequest& request, replay::v1::TailRequest* out);
void Encode(const TailChunk& chunk, replay::v1::TailResponse* out);
absl::StatusOr<TailChunk> Decode(const replay::v1::TailResponse& message);

}  // namespace tandem::codec
