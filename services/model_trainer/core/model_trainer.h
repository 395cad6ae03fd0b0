#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/clients/directive_client.h"
#include "common/clients/replay_client.h"
#include "common/data/spec.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/dynamics/planted_error.h"
#include "common/metrics/registry.h"
#include "common/snapshot/snapshot.h"
#include "common/training/checkpointer.h"
#include "services/model_trainer/core/companion.h"
#include "services/model_trainer/core/knobs.h"
#include "services/model_trainer/core/model_trainer_metrics.h"
#include "services/model_trainer/core/transition_mirror.h"

namespace tandem::model_trainer {

struct ModelTrainerOptions {
  std::string member = "model_trainer";  ///< Name among the peers.
  int64_t replay_capacity = 1'000'000;   ///< [steps] of the replay buffer
  std::string state_dir;                 ///< For the checkpoint; empty: none.
  int members = 7;                       ///< Of the model, for resets one after the other.
  /// [environment steps] after which the model stays as it is, unless a directive asks for a fit;
  /// 0: never.
  int64_t freeze_after = 0;
  absl::Duration checkpoint_interval = absl::Seconds(20);
  dynamics::PlantedError planted;  ///< For studies: every published model carries it ...
  int64_t planted_from = 0;        ///< ... from so many training steps on.
};

/// Fits the learned model whenever the replay buffer's pace asks for it, and publishes it.
///
/// Run() is the whole life of the service: wait until the environment is known, restore the last
/// checkpoint, then for ever: report what the published model covers, take a grant, fetch the steps
/// that are new, fit, publish. After a restart it reports nothing covered, so that a fit from the
/// restored weights is granted at once and the followers have a model again. A frozen model is
/// published again as it is at each grant, so that the run's pace does not change; it keeps its
/// through_index, since fresh steps are those that its weights have not seen.
///
/// With a companion (the joint objective) each fit is followed by one of the companion, and both go
/// out in one snapshot and into one checkpoint.
///
/// Run() belongs to one thread; Stop() may be called from any.
class ModelTrainer {
 public:
  /// Makes the learner, once the environment is known and after repeated failures.
  using MakeLearner = std::function<absl::StatusOr<std::unique_ptr<dynamics::EnsembleLearner>>(
      const EnvironmentSpec& spec)>;

  using MakeCompanion =
      std::function<absl::StatusOr<std::unique_ptr<Companion>>(const EnvironmentSpec& spec)>;

  /// What it works with; all outlive it. The client is this trainer's alone: Stop() stops it.
  struct Deps {
    ReplayClient& replay;
    snapshot::SnapshotPublisher& publisher;
    Clock& clock;
    metrics::Registry& metrics;
    MakeLearner make_learner;
    DirectiveClient* directives = nullptr;  ///< Of the monitor; nullptr: there is none.
    MakeCompanion make_companion;  ///< Empty: there is none. Called when learners are made.
    /// What a companion watches, this trainer's alone: Stop() stops it. nullptr: nothing.
    snapshot::SnapshotSource* policies = nullptr;
  };

  ModelTrainer(ModelTrainerOptions options, Deps deps);

  /// Blocks until Stop(). OK then, after a last checkpoint; the error of `make_learner` or
  /// `make_companion`, where none can be made for the environment.
  absl::Status Run();

  /// Ends Run() soon, also within a fit (at the next gradient step). Does not wait for it.
  void Stop();

 private:
  absl::Status Prepare();
  /// A new learner, and a new companion where there is one.
  absl::Status MakeLearners();
  absl::Status RestoreCheckpoint();
  void ServeGrants();
  absl::StatusOr<Grant> Ask();
  /// After a lost connection: starts over where the buffer came back with fewer steps.
  void CheckBufferStillHolds();
  void FetchAllAgain(int64_t end_index);
  bool Frozen(const Grant& grant) const;
  absl::Status FitAndPublish(const Grant& grant);
  absl::Status Publish(const Grant& grant);
  void Show(const dynamics::FitReport& report);
  void HandleFailure(const absl::Status& status);
  void Checkpoint(bool now);

  const ModelTrainerOptions options_;
  Deps deps_;
  ModelTrainerMetrics metrics_;
  training::Checkpointer checkpointer_;
  StopSignal stop_;
  Knobs knobs_;

  EnvironmentSpec spec_;
  std::unique_ptr<Companion> companion_;  // null: there is none; its terms outlive the learner
  std::unique_ptr<dynamics::EnsembleLearner> learner_;
  std::optional<TransitionMirror> train_;
  std::optional<TransitionMirror> holdout_;
  int64_t published_through_ = 0;
  int64_t fitted_through_ = 0;     // >= published_through_: grants a frozen model answers as it is
  int64_t weights_through_ = 0;    // index below which the learner's weights have used all steps
  int64_t weights_env_steps_ = 0;  // training steps then
  int failures_in_a_row_ = 0;
  bool unsaved_ = false;  // the learner has changed since the last checkpoint
};

}  // namespace tandem::model_trainer
