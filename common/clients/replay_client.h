#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/data/batch.h"
#include "common/data/spec.h"

namespace tandem {

struct WriterSession {
  uint64_t epoch = 0;
  int64_t end_index = 0;  ///< Global index of the next step.
  int64_t env_steps = 0;  ///< Training steps in the buffer so far.
};

struct AppendResult {
  uint64_t acknowledged_sequence = 0;
  int64_t end_index = 0;
};

enum class Role { kActor = 1, kModelTrainer = 2, kPolicyTrainer = 3 };

/// One side's report and wish; see tandem.replay.v1.AdvanceRequest.
struct Progress {
  Role role = Role::kActor;
  std::string member;
  int64_t wanted = 0;
  int64_t policy_updates = 0;
  int64_t model_through_index = 0;
  int64_t held_policy_updates = 0;
};

/// What a side may do next; see tandem.replay.v1.AdvanceResponse.
struct Grant {
  int64_t granted = 0;
  int64_t through_index = 0;
  int64_t policy_updates = -1;
  int64_t model_through_index = 0;
  bool random_actions = false;
  bool evaluate = false;
  bool stop = false;
  std::string waiting_for;
  int64_t env_steps = 0;
};

struct EvaluationResult {
  int64_t env_steps = 0;
  double mean_return = 0;
  int64_t episodes = 0;
  int64_t policy_updates = 0;
};

struct ReplayStatus {
  std::optional<EnvironmentSpec> spec;
  int64_t begin_index = 0;
  int64_t end_index = 0;
  int64_t env_steps = 0;
  int64_t train_steps = 0;
  int64_t holdout_steps = 0;
  int64_t episodes = 0;
  int64_t policy_updates = 0;
  int64_t model_through_index = 0;
  std::map<std::string, std::string> waiting_for;
  bool stopped = false;
  std::string stop_reason;
  std::vector<EvaluationResult> evaluations;
};

enum class SampleKind { kTransitions = 1, kSequences = 2, kStartStates = 3 };

struct SampleSpec {
  SampleKind kind = SampleKind::kTransitions;
  int64_t batch_size = 0;
  int64_t sequence_length = 0;
  uint64_t seed = 0;
  Split split = Split::kTrain;
};

/// One batch of a sample stream; the member that fits the kind is filled.
struct SampledBatch {
  int64_t through_index = 0;
  TransitionBatch transitions;
  SequenceBatch sequences;
};

/// A stream of batches against credit. Batch k is a pure function of the spec's seed, k and the bound
/// in force, so a stream opened again gives the same batches. One thread at a time.
class SampleStream {
 public:
  virtual ~SampleStream() = default;
  /// Grants credit for `batches` more, sampled below `through_index` (0: no bound). Does not wait.
  virtual absl::Status Request(int64_t batches, int64_t through_index) = 0;
  /// The next batch. DEADLINE_EXCEEDED leaves the stream usable; any other error ends it.
  virtual absl::StatusOr<SampledBatch> Receive(absl::Duration timeout) = 0;
};

struct TailRequest {
  int64_t from_index = 0;
  Split split = Split::kAll;
  int64_t through_index = 0;   ///< Stop before it; 0: follow.
  int64_t from_episode = -1;   ///< < 0: no episodes.
};

struct TailChunk {
  TransitionBatch transitions;
  int64_t next_index = 0;
  std::vector<Episode> episodes;
  int64_t next_episode = 0;
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
/// process (services/replay_buffer), or FakeReplayClient. Thread-safe. Every call has a deadline.
class ReplayClient {
 public:
  virtual ~ReplayClient() = default;
  virtual absl::StatusOr<WriterSession> OpenWriter(const std::string& writer,
                                                   const EnvironmentSpec& spec) = 0;
  virtual absl::StatusOr<AppendResult> Append(const std::string& writer, uint64_t epoch,
                                              uint64_t sequence, const std::vector<Segment>& segments,
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
