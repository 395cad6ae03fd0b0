#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/data/spec.h"

namespace tandem {

/// Which part of the experience an episode belongs to; decided once, when it begins.
enum class Split : uint8_t { kAll = 0, kTrain = 1, kHoldout = 2, kEvaluation = 3 };

enum class Purpose : uint8_t { kTraining = 1, kEvaluation = 2 };

/// B transitions as columns: contiguous, row-major, float32. Plain data; copy and move freely.
/// Columns that a sender leaves out are empty.
struct TransitionBatch {
  int64_t obs_dim = 0;
  int64_t action_dim = 0;
  std::vector<float> observations;       ///< [B, obs_dim]
  std::vector<float> actions;            ///< [B, action_dim]
  std::vector<float> rewards;            ///< [B]
  std::vector<float> next_observations;  ///< [B, obs_dim], also where the episode ended
  std::vector<uint8_t> terminated;       ///< [B] 1: never bootstrap past this step
  std::vector<uint8_t> truncated;        ///< [B] 1: cut off here, bootstrap as usual
  std::vector<int64_t> indices;          ///< [B] global index of each step
  std::vector<int64_t> episodes;         ///< [B] ordinal of the episode in the replay buffer
  std::vector<int64_t> times;            ///< [B] step within its episode
  std::vector<int64_t> policy_versions;  ///< [B] tags, see Segment; 0: random
  std::vector<uint8_t> splits;           ///< [B] a value of Split

  /// Number of rows, from the observations.
  int64_t size() const {
    return obs_dim == 0 ? 0 : static_cast<int64_t>(observations.size()) / obs_dim;
  }
  /// Appends the rows [begin, end) of `other`, which has the same dimensions and columns.
  void Append(const TransitionBatch& other, int64_t begin, int64_t end);
  void Append(const TransitionBatch& other) { Append(other, 0, other.size()); }
};

/// B windows of T steps, [B, T, ...] row-major. Rows past the end of an episode are zero, mask 0.
struct SequenceBatch {
  int64_t batch_size = 0;
  int64_t length = 0;  ///< T
  int64_t obs_dim = 0;
  int64_t action_dim = 0;
  std::vector<float> observations;  ///< [B, T + 1, obs_dim]
  std::vector<float> actions;       ///< [B, T, action_dim]
  std::vector<float> rewards;       ///< [B, T]
  std::vector<uint8_t> terminated;  ///< [B, T]
  std::vector<uint8_t> mask;        ///< [B, T] 1 where the step exists
  std::vector<int64_t> indices;     ///< [B] global index of each first step
};

/// N consecutive steps of one episode, as an actor appends them.
struct Segment {
  uint64_t episode_id = 0;          ///< Unique for its writer and epoch.
  int64_t first_t = 0;              ///< Step within the episode of the first row.
  std::vector<float> observations;  ///< [N + 1, obs_dim]: before each step, and after the last.
  std::vector<float> actions;       ///< [N, action_dim]
  std::vector<float> rewards;       ///< [N]
  std::vector<float> log_probs;     ///< [N]; 0 if unknown
  bool terminated = false;          ///< The last step ended the episode in a terminal state.
  bool truncated = false;           ///< The last step ended the episode from outside.
  Purpose purpose = Purpose::kTraining;
  uint64_t policy_version = 0;  ///< snapshot::Version::Tag; 0: uniformly random actions.
  uint64_t model_version = 0;   ///< 0: no planner acted.

  int64_t size() const { return static_cast<int64_t>(rewards.size()); }
};

/// Who acted in an episode from one of its steps on.
struct ActingPolicy {
  int64_t first_t = 0;          ///< Step within the episode.
  uint64_t policy_version = 0;  ///< 0: uniformly random actions.
  uint64_t policy_updates = 0;
  bool operator==(const ActingPolicy&) const = default;
};

/// What came of one finished episode.
struct Episode {
  static constexpr size_t kMostPolicies = 64;

  uint64_t episode_id = 0;
  Purpose purpose = Purpose::kTraining;
  double episode_return = 0;  ///< Undiscounted sum of rewards.
  int64_t length = 0;         ///< [steps] >= 1
  bool terminated = false;    ///< false: truncated
  /// Kind of the failure that truncated it, such as "crashed"; empty: none did.
  std::string failure;
  uint64_t policy_version = 0;             ///< Of the policy that acted at its last step.
  uint64_t policy_updates = 0;             ///< Updates in that policy.
  std::vector<float> initial_observation;  ///< [obs_dim]
  int64_t env_steps = 0;        ///< Training steps in the buffer when it ended; set by the buffer.
  uint64_t evaluation_id = 0;   ///< Groups the episodes of one evaluation; 0 for training.
  int64_t evaluation_size = 0;  ///< Episodes in that evaluation; 0 for training.
  /// Those who acted, in order, where more than one did, the first from step 0 on; empty: one did.
  /// At most kMostPolicies; of more some are left out, evenly over the episode.
  std::vector<ActingPolicy> policies;
};

/// Checks a segment against a spec: shapes, at least one step, every number finite, not both
/// terminated and truncated. INVALID_ARGUMENT says what was expected and what came.
absl::Status Validate(const Segment& segment, const EnvironmentSpec& spec);

/// The same for an episode summary. One of an evaluation episode that failed may belong to no
/// evaluation (0 and 0): it is not counted.
absl::Status Validate(const Episode& episode, const EnvironmentSpec& spec);

}  // namespace tandem
