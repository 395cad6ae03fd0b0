#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/data/batch.h"
#include "common/data/replay_types.h"
#include "common/data/spec.h"

namespace tandem {

/// A stream of batches against credit. Batch k is a pure function of the spec's seed, k and the
/// bound in force, so a stream opened again gives the same batches. One thread at a time.
class SampleStream {
 public:
  virtual ~SampleStream() = default;
  /// Grants credit for `batches` more, sampled below `through_index` (0: no bound). Does not wait
  /// for them; UNAVAILABLE where the stream has ended, and Receive tells why.
  virtual absl::Status Request(int64_t batches, int64_t through_index) = 0;
  /// The next batch. DEADLINE_EXCEEDED leaves the stream usable; any other error ends it.
  virtual absl::StatusOr<SampledBatch> Receive(absl::Duration timeout) = 0;
};

/// Transitions and episodes in order. One thread at a time.
class TailStream {
 public:
  virtual ~TailStream() = default;
  /// The next chunk. OUT_OF_RANGE: all below through_index was sent. DEADLINE_EXCEEDED leaves the
  /// stream usable; any other error ends it, and a new one goes on from next_index.
  virtual absl::StatusOr<TailChunk> Receive(absl::Duration timeout) = 0;
};

/// The replay buffer as its clients see it: the gRPC implementation, or the real buffer in the same
/// process (services/replay_buffer), or FakeReplayClient. Thread-safe. Every call of one answer has
/// a deadline. A stream lives until it is destroyed, but a peer that neither accepts it nor takes
/// what is written to it for 5 s ends it with UNAVAILABLE; so no call waits for ever.
class ReplayClient {
 public:
  virtual ~ReplayClient() = default;
  virtual absl::StatusOr<WriterSession> OpenWriter(const std::string& writer,
                                                   const EnvironmentSpec& spec) = 0;
  /// INVALID_ARGUMENT also where it is too large: more than 1 MiB of steps, or 4 MiB in all.
  virtual absl::StatusOr<AppendResult> Append(const std::string& writer, uint64_t epoch,
                                              uint64_t sequence,
                                              const std::vector<Segment>& segments,
                                              const std::vector<Episode>& episodes) = 0;
  /// Waits up to `wait` (<= 10 s) for a grant.
  virtual absl::StatusOr<Grant> Advance(const Progress& progress, absl::Duration wait) = 0;
  virtual absl::StatusOr<ReplayStatus> GetStatus() = 0;
  virtual absl::StatusOr<std::unique_ptr<SampleStream>> OpenSample(const SampleSpec& spec) = 0;
  virtual absl::StatusOr<std::unique_ptr<TailStream>> OpenTail(const TailRequest& request) = 0;
  /// Cancels every call in flight; later ones are CANCELLED. For shutting down.
  virtual void Stop() = 0;
};

/// Connects lazily: an absent peer is UNAVAILABLE on each call, naming the address.
std::unique_ptr<ReplayClient> ConnectReplay(const std::string& address);

}  // namespace tandem
