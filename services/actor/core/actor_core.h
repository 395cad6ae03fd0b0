#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/rng.h"
#include "common/base/stop_signal.h"
#include "common/clients/directive_client.h"
#include "common/clients/replay_client.h"
#include "common/env/vector_environment.h"
#include "common/snapshot/snapshot.h"
#include "common/training/knob_board.h"
#include "services/actor/core/actor_metrics.h"
#include "services/actor/core/environment_health.h"
#include "services/actor/core/episode_recorder.h"
#include "services/actor/core/policy_holder.h"
#include "services/actor/core/wait_log.h"
#include "services/actor/core/writer.h"

namespace tandem::actor {

struct ActorOptions {
  std::string member = "actor";       ///< Name among the actors; also the writer's.
  std::string replay_buffer;          ///< Address, for the log.
  std::string policy_trainer;         ///< Address, for the log.
  std::string monitor;                ///< Address; empty: there is none.
  uint64_t random_action_seed = 0;    ///< Stream of the uniformly random actions, and of which.
  uint64_t policy_action_seed = 0;    ///< Stream of the policy's noise.
  uint64_t evaluation_seed = 0;       ///< With the evaluation's id, seeds its episodes.
  int64_t evaluation_interval = 250;  ///< [steps] >= 0.
  bool record_evaluation_steps = false;
  int64_t shift_start_after = 0;  ///< [training steps] for studies; 0: never ...
  double shift_start_scale = 1;   ///< ... episodes then start from a range so many times as wide.
  EnvironmentHealth::Options health;
  absl::Duration advance_wait = absl::Seconds(1);  ///< One wait for a grant.
  absl::Duration policy_wait = absl::Seconds(10);  ///< One wait for a policy, then ask again.
};

/// What the actor works with; the references outlive it.
struct ActorParts {
  std::unique_ptr<VectorEnvironment> training;
  std::unique_ptr<VectorEnvironment> evaluation;  ///< One environment for each episode; null: none.
  ReplayClient& replay;
  snapshot::SnapshotSource& policies;
  PolicyLoader load_policy;
  Clock& clock;
  metrics::Registry& registry;
  DirectiveClient* directives = nullptr;  ///< Of the monitor; nullptr: there is none.
  /// As many as `training`, for the random steps of the warm-up, of which episodes may be longer or
  /// shorter; destroyed when that is over. Null: `training` takes those, too.
  std::unique_ptr<VectorEnvironment> warmup = nullptr;
};

/// Plays the environments at the pace that the replay buffer sets: asks for a grant, evaluates if
/// it says so, takes the granted steps with random actions or with the policy that it names,
/// appends them, asks again. In lockstep with one actor every number is a function of the seeds.
///
/// Run() on one thread; Stop() from any.
class ActorCore {
 public:
  ActorCore(ActorOptions options, ActorParts parts);

  /// Blocks until the run is over or Stop() (OK), or until something fails for good: the buffer
  /// holds another environment, refuses what it is sent, the policy's actions are not finite, or
  /// starts are to shift that cannot (FAILED_PRECONDITION, at once), or an evaluation is asked for
  /// and there are no environments for it (FAILED_PRECONDITION).
  /// on_health: told when the environments fail too often and when they run again, by the thread
  /// that runs.
  absl::Status Run(std::function<void(bool healthy)> on_health = nullptr);

  /// Ends Run() within 100 ms or one environment step. Thread-safe; idempotent.
  void Stop();

 private:
  absl::Status Loop();
  /// OK also when there is no grant.
  absl::Status Serve(const Grant& grant);
  /// The environments that training steps are taken in now.
  VectorEnvironment& playing() { return warmup_ ? *warmup_ : *parts_.training; }
  /// Ends the episodes under way in the environments of the warm-up, truncated with their last
  /// steps, gives them back, and goes over to those of training, for good.
  absl::Status LeaveWarmup();
  /// Widens the start of training and evaluation episodes when its time has come.
  absl::Status ShiftStart(const Grant& grant);
  absl::Status WidenStart(double scale);
  /// Gives up, OK, where the environments take no step for `health.standstill`: the next grant then
  /// asks for it again, or tells of the end of the run.
  absl::Status Evaluate(const Grant& grant);
  /// Whether all episodes were played; false where it was given up.
  absl::StatusOr<bool> PlayEvaluation(VectorEnvironment& env, EpisodeRecorder& recorder);
  absl::Status TakeSteps(const Grant& grant);
  /// The steps recorded: those of the environments that ran.
  absl::StatusOr<int64_t> StepOnce(VectorEnvironment& env, EpisodeRecorder& recorder,
                                   Purpose purpose);
  void ActAtRandom();
  /// Log density of a uniformly random action.
  float RandomDensity() const;
  void ActAtRandom(int64_t env);
  /// Where the monitor asks for it, some of the policy's actions give way to random ones.
  void MixInRandomActions();
  absl::Status ActByPolicy(const VectorEnvironment& env, Rng* rng);
  /// Begins new training episodes, for the old ones are lost to the buffer.
  absl::Status StartOver();
  void CountEpisodes(const Recording& recording, Purpose purpose);

  const ActorOptions options_;
  ActorParts parts_;
  StopSignal stop_;
  ActorMetrics metrics_;
  EnvironmentHealth health_;
  training::KnobBoard knobs_;
  PolicyHolder holder_;
  Writer writer_;
  WaitLog pace_log_;
  uint64_t next_episode_id_ = 1;
  EpisodeRecorder recorder_;
  // Null once the warm-up is over. Only the thread of Run() changes it, and it reads it without the
  // lock, which is for Stop().
  std::unique_ptr<VectorEnvironment> warmup_;
  Mutex warmup_mu_;
  bool start_shifted_ = false;
  Rng random_actions_;
  Rng policy_noise_;
  std::vector<float> actions_;    // [num_envs, action_dim] of the step under way
  std::vector<float> log_probs_;  // [num_envs]
  int idle_calls_ = 0;            // of Step, the last ones, in which no environment took a step
};

}  // namespace tandem::actor
