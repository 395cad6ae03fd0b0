#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clients/replay_client.h"
#include "common/data/batch.h"
#include "services/replay_buffer/core/update_schedule.h"

namespace tandem {

enum class PaceMode { kLockstep, kAsync };

/// Finished evaluations that are kept.
inline constexpr int64_t kMaxEvaluations = 1000;

/// How fast the sides of a run may go against each other, and when the run is over.
struct PaceOptions {
  PaceMode mode = PaceMode::kLockstep;
  int64_t warmup_steps = 250;         ///< [steps] >= 1: uniformly random at the start.
  double updates_per_step = 10;       ///< [updates/step] > 0, after the warm-up.
  int64_t refit_interval = 250;       ///< [steps] >= 1 between fits of the model.
  int64_t steps_per_round = 1;        ///< Lockstep: [steps] >= 1 before the updates they call for.
  int64_t band_steps = 50;            ///< Async: [steps] >= 1 that either side may run ahead.
  int64_t max_model_lag = 1000;       ///< Async: [steps] the model may miss; 0: no bound.
  int64_t max_policy_lag = 5000;      ///< Async: [updates] an actor may miss; 0: no bound.
  int64_t publish_interval = 50;      ///< Async: [updates] between published policies.
  int64_t num_envs = 1;               ///< Steps of an actor's batch: it cannot step fewer at once.
  int64_t evaluation_interval = 250;  ///< [steps]; 0: never evaluate.
  int64_t max_env_steps = 20000;      ///< [steps] >= 1: the run's end.
  std::optional<double> return_at_least;  ///< Stop early at this mean return; unset: never.
  int64_t evaluations_in_a_row = 2;       ///< So many must reach it, 1 to kMaxEvaluations.
  bool monitor_in_lockstep = false;  ///< Lockstep: a fit waits until what it follows is judged.
};

/// INVALID_ARGUMENT naming the first field out of range.
absl::Status Validate(const PaceOptions& options);

/// A Progress whose model watermark is counted in training steps.
struct PaceAsk {
  Role role = Role::kActor;
  std::string member;
  int64_t wanted = 0;
  int64_t policy_updates = 0;
  int64_t model_steps = 0;  ///< Training steps that the published model has used; 0: no model.
  int64_t held_policy_updates = 0;
  int64_t fitted_steps = 0;       ///< Training steps up to which every fit is done, frozen or not.
  int64_t judged_steps = 0;       ///< Training steps that the monitor has judged.
  int64_t directive_version = 0;  ///< Of the directives that the monitor has in force.
  double updates_per_step = -1;   ///< As the monitor wants it; not positive: the recipe's.
  bool policy_pause = false;      ///< As the monitor wants it.
};

/// A Grant whose watermarks are counted in training steps.
struct PaceGrant {
  int64_t granted = 0;
  int64_t through_steps = 0;
  int64_t policy_updates = -1;
  int64_t model_steps = 0;
  bool random_actions = false;
  bool evaluate = false;
  bool stop = false;
  bool ask_again_soon = false;    ///< Only the asker's own state holds it up: let it report anew.
  int64_t directive_version = 0;  ///< Hold at least this one first; 0: any.
  std::string waiting_for;

  bool empty() const { return granted == 0 && !evaluate && !stop; }
};

/// Decides who may run. A deterministic function of the calls made to it: no time, no threads, no
/// random numbers. Not thread-safe.
///
/// Lockstep moves from one settled point to the next: a number of training steps at which no
/// granted step is outstanding. At a settled point exactly one of these can run: the monitor (where
/// it is in lockstep, is there, and a refit is due whose steps it has not judged), then the model
/// trainer (its fit is due), then the policy trainer (updates are due), then one actor (an
/// evaluation is due), then the actors (up to the next round, refit, evaluation or end). So the
/// order of messages between the processes changes no number. Async lets all run and bounds how far
/// they drift apart.
class PacePolicy {
 public:
  explicit PacePolicy(const PaceOptions& options);

  /// Takes in what a side says of itself; what an earlier grant left unused is given back. Counters
  /// of trainers may go down after a restart.
  void Report(const PaceAsk& ask);
  /// What the side may do now, which is then counted as under way; else an empty grant that says
  /// what is waited for. Call Report first; may be called again until it grants.
  PaceGrant Grant(const PaceAsk& ask);
  /// `steps` training steps of `member` were stored.
  void StepsStored(const std::string& member, int64_t steps);
  /// An evaluation episode of `member` was stored. Episodes of an evaluation already finished are
  /// ignored.
  void EvaluationEpisodeStored(const std::string& member, const Episode& episode);
  /// The member started anew: its outstanding steps and its evaluation are open again.
  void Release(const std::string& member);
  /// The member is gone for good: others take its place.
  void Forget(const std::string& member);

  /// Whether the monitor is there: a fit waits only for one that is. Whoever knows the time says
  /// it; at the start it is taken to be there.
  void SetMonitorThere(bool there) { monitor_there_ = there; }
  bool monitor_there() const { return monitor_there_; }
  /// Whether the monitor is one of the sides that move from one settled point to the next.
  bool MonitorIsPaced() const {
    return options_.mode == PaceMode::kLockstep && options_.monitor_in_lockstep;
  }
  /// A fit that is due waits for the monitor, or would if it were there.
  bool WantsJudgement() const;
  /// Policy updates go on from here at the rate that was wanted last.
  void EndPause() { schedule_.Set(schedule_.running_rate(), /*paused=*/false, now()); }
  const UpdateSchedule& schedule() const { return schedule_; }

  int64_t env_steps() const { return stored_; }
  int64_t policy_updates() const { return updates_; }
  int64_t model_steps() const { return model_steps_; }
  bool stopped() const { return !stop_reason_.empty(); }
  /// "goal reached: ..." or "environment steps done"; empty while the run goes on.
  const std::string& stop_reason() const { return stop_reason_; }
  /// Finished evaluations, oldest first, the last kMaxEvaluations of them.
  const std::vector<EvaluationResult>& evaluations() const { return evaluations_; }

  /// Training steps that the model has to have used at `steps`; 0 during the warm-up.
  int64_t DueModel(int64_t steps) const;
  /// Updates that the policy has to have had at `steps`, which is not before the last change of
  /// their rate.
  int64_t DueUpdates(int64_t steps) const { return schedule_.Due(steps); }
  /// Training steps that the monitor has to have judged before the fit that is due at `steps`: the
  /// last refit after the warm-up; 0: none.
  int64_t DueJudgement(int64_t steps) const;
  /// Multiple of the evaluation interval passed at `steps` and not evaluated; 0: none.
  int64_t DueEvaluation(int64_t steps) const;

 private:
  struct PendingEvaluation {
    int64_t id = 0;
    std::string member;
  };
  struct PartialEvaluation {
    std::vector<Episode> episodes;
    int64_t env_steps = 0;
  };

  PaceGrant ActorLockstep(const PaceAsk& ask);
  PaceGrant ActorAsync(const PaceAsk& ask);
  PaceGrant ModelTrainer() const;
  PaceGrant Monitor() const;
  PaceGrant PolicyTrainer(const PaceAsk& ask) const;
  PaceGrant PolicyLockstep(const PaceAsk& ask) const;
  PaceGrant PolicyAsync(const PaceAsk& ask) const;
  /// Empty: the actors need not wait for a trainer.
  std::string TrainersBehind() const;
  void GiveEvaluation(const PaceAsk& ask, int64_t id, PaceGrant* grant);
  /// Training steps of the model that is to be used, once no fit is due: a frozen one stays.
  int64_t ModelInUse() const;
  int64_t now() const { return options_.mode == PaceMode::kLockstep ? settled_ : stored_; }
  /// Whole batches of at most `room` (but at least one batch) and of what was wanted.
  int64_t Batches(int64_t room, int64_t wanted) const;
  /// Steps granted to the other members and not stored yet.
  int64_t ReservedByOthers(const std::string& member) const;
  int64_t LockstepBoundary() const;
  void Settle();
  void CheckStop();
  void FinishEvaluation(uint64_t id, const PartialEvaluation& partial);

  const PaceOptions options_;
  int64_t stored_ = 0;   ///< Training steps stored.
  int64_t settled_ = 0;  ///< Lockstep: the same at the last settled point.
  int64_t updates_ = 0;
  bool policy_trainer_known_ = false;
  int64_t model_steps_ = 0;
  int64_t fitted_steps_ = 0;  ///< At least model_steps_.
  int64_t judged_steps_ = 0;
  int64_t directive_version_ = 0;
  bool monitor_there_ = true;
  UpdateSchedule schedule_;
  std::map<std::string, int64_t> reserved_;
  std::set<std::string> actors_;
  std::optional<PendingEvaluation> pending_;
  int64_t last_evaluated_ = 0;
  std::map<std::pair<uint64_t, std::string>, PartialEvaluation> partial_;
  std::vector<EvaluationResult> evaluations_;
  std::string stop_reason_;
};

}  // namespace tandem
