#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/data/batch.h"
#include "common/data/spec.h"

/// What passes between the replay buffer and its clients, as plain data: the messages of
/// tandem.replay.v1 field by field, with their units.
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

enum class Role { kActor = 1, kModelTrainer = 2, kPolicyTrainer = 3, kMonitor = 4 };

/// One side's report and wish; see tandem.replay.v1.AdvanceRequest.
struct Progress {
  Role role = Role::kActor;
  std::string member;
  int64_t wanted = 0;
  int64_t policy_updates = 0;
  int64_t model_through_index = 0;
  int64_t held_policy_updates = 0;
  int64_t judged_through_index = 0;
  int64_t directive_version = 0;
  double updates_per_step = -1;
  int64_t fitted_through_index = 0;
  bool policy_pause = false;
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
  int64_t directive_version = 0;
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

struct TailRequest {
  int64_t from_index = 0;
  Split split = Split::kAll;
  int64_t through_index = 0;  ///< Stop before it; 0: follow.
  int64_t from_episode = -1;  ///< < 0: no episodes.
};

struct TailChunk {
  TransitionBatch transitions;
  int64_t next_index = 0;
  std::vector<Episode> episodes;
  int64_t next_episode = 0;
};

}  // namespace tandem
