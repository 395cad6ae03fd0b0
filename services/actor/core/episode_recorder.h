#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/data/batch.h"
#include "common/data/spec.h"
#include "common/env/vector_environment.h"

namespace tandem::actor {

/// What is to be appended.
struct Recording {
  std::vector<Segment> segments;
  std::vector<Episode> episodes;

  bool empty() const { return segments.empty() && episodes.empty(); }
};

/// Cuts the steps of a vector environment into segments and episodes. A segment ends with its
/// episode, where another policy begins to act, and where Take() is called. Not thread-safe.
class EpisodeRecorder {
 public:
  struct Options {
    Purpose purpose = Purpose::kTraining;
    bool keep_steps = true;           ///< false: only episodes.
    bool first_episode_only = false;  ///< Record one episode of each environment.
    uint64_t evaluation_id = 0;       ///< For evaluation episodes.
    int64_t evaluation_size = 0;
    int max_losses = 3;  ///< Of an evaluation's environment: its episode then counts as it is.
  };

  /// next_episode_id: the next free id, shared by the recorders of one writer; outlives this.
  EpisodeRecorder(const EnvironmentSpec& spec, int num_envs, const Options& options,
                  uint64_t* next_episode_id);

  /// Begins an episode in each environment that ResetAll has just started; drops all that was
  /// recorded.
  void StartAll(const VectorEnvironment& env);
  /// Who acts from the next step on: the tag of a policy, 0 for random actions.
  void SetPolicy(uint64_t version, uint64_t updates);
  /// Records what has just become of each environment of `env`. The episode of one that was lost
  /// ends truncated with the last good step, also where that was taken already, and names its
  /// fault; an evaluation's does not count and is played again, up to max_losses - 1 times.
  /// actions: [num_envs, action_dim]; log_probs: [num_envs]; faults: of the same step.
  void Record(const VectorEnvironment& env, std::span<const float> actions,
              std::span<const float> log_probs, std::span<const EnvironmentFault> faults = {});

  /// All that was recorded since the last call; open episodes go on. The episodes of an evaluation
  /// come together, once the last of them has ended: a part of them is never counted.
  Recording Take();

  /// Ends every training episode under way, truncated with its last step, also where that was taken
  /// already; they count and name `why`. Nothing is recorded until StartAll().
  void Cut(const std::string& why);

  /// Gives up an evaluation: what is under way ends truncated, nothing of it counts, and nothing
  /// more is recorded. The next Take() holds what the replay buffer needs to close it.
  void Abandon();

  /// Whether it is time to Take(): 256 steps or 256 KiB.
  bool full() const;
  /// Environments of which more is to be recorded.
  int recording_envs() const { return recording_envs_; }
  /// Steps recorded since StartAll.
  int64_t steps() const { return steps_; }
  /// Episodes that ended since StartAll, and the sum of their returns.
  int64_t episodes_ended() const { return episodes_ended_; }
  double return_sum() const { return return_sum_; }

 private:
  struct Open {
    Segment segment;
    Episode episode;
    bool recording = true;   // more is wanted of this environment
    bool begun = false;      // an episode is under way
    int losses = 0;          // of this environment since StartAll
    int64_t least_turn = 1;  // steps between two policies that the episode names
  };

  void Begin(Open& open, std::span<const float> observation);
  void Append(Open& open, std::span<const float> action, float log_prob, const StepResult& result,
              std::span<const float> after);
  /// Names the policy that acts now in the episode; of very many every second, then fourth, ...
  void NotePolicy(Open& open);
  void CutSegment(Open& open);
  void End(Open& open, bool terminated);
  void Finish(Open& open);
  /// Ends an episode whose environment failed. counts: as an episode that was played.
  void Lose(Open& open, const std::string& failure, bool counts);

  const int64_t obs_dim_;
  const int64_t action_dim_;
  const Options options_;
  uint64_t* const next_episode_id_;
  uint64_t policy_version_ = 0;
  uint64_t policy_updates_ = 0;
  std::vector<Open> open_;  // [num_envs]
  Recording done_;
  int64_t pending_steps_ = 0;  // kept and not yet taken
  int recording_envs_ = 0;
  int64_t steps_ = 0;
  int64_t episodes_ended_ = 0;
  double return_sum_ = 0;
};

}  // namespace tandem::actor
