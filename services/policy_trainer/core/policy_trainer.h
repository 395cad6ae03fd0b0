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
#include "common/metrics/registry.h"
#include "common/policy/sac_learner.h"
#include "common/snapshot/snapshot.h"
#include "common/training/checkpointer.h"
#include "services/policy_trainer/core/imagination_stage.h"
#include "services/policy_trainer/core/joint_payment.h"
#include "services/policy_trainer/core/knobs.h"
#include "services/policy_trainer/core/model_follower.h"
#include "services/policy_trainer/core/policy_trainer_metrics.h"
#include "services/policy_trainer/core/real_sampler.h"

namespace tandem::policy_trainer {

struct PolicyTrainerOptions {
  std::string member = "policy_trainer";  ///< Name among the peers.
  bool lockstep = true;
  int64_t batch_size = 256;       ///< [rows] in an update
  double real_share = 0.05;       ///< Share of real rows among them; at 1 nothing is imagined.
  int64_t publish_interval = 50;  ///< [updates] between publications, unless in lockstep
  ImaginationOptions imagination;
  std::string state_dir;  ///< For the checkpoint; empty: none.
  absl::Duration checkpoint_interval = absl::Seconds(20);
  /// How the policy is paid with the joint objective; nothing: the rewards as they are.
  std::optional<JointOptions> joint;
  uint64_t seed = 0;  ///< Of the real rows and of the choice among the imagined ones.
};

/// Improves the policy on a mixture of real and imagined transitions, as fast as the replay
/// buffer's pace allows, and publishes it.
///
/// Run() is the whole life of the service: wait until the environment is known, restore the last
/// checkpoint, publish the policy, then for ever: report the updates done, take a grant, imagine
/// anew where the model is, update, publish. In lockstep every number is a function of the seeds
/// and the update's number alone.
///
/// With the joint objective imagined rows carry a log-ratio by the classifier that came with the
/// model, and each batch is paid anew before its update (JointPayment).
///
/// Run() belongs to one thread; Stop() may be called from any.
class PolicyTrainer {
 public:
  using MakeLearner = std::function<absl::StatusOr<std::unique_ptr<policy::SacLearner>>(
      const EnvironmentSpec& spec)>;
  using LoadModel = std::function<absl::StatusOr<std::unique_ptr<dynamics::DynamicsModel>>(
      const nn::TensorFile& snapshot, const EnvironmentSpec& spec)>;
  using LoadClassifier =
      std::function<absl::StatusOr<std::unique_ptr<objective::TransitionClassifier>>(
          const nn::TensorFile& snapshot, const EnvironmentSpec& spec)>;

  /// What it works with; all outlive it. Client and source are this trainer's alone: Stop() stops
  /// them.
  struct Deps {
    ReplayClient& replay;
    snapshot::SnapshotSource& models;
    snapshot::SnapshotPublisher& publisher;
    Clock& clock;
    metrics::Registry& metrics;
    MakeLearner make_learner;
    LoadModel load_model;
    DirectiveClient* directives = nullptr;  ///< Of the monitor; nullptr: there is none.
    LoadClassifier load_classifier;         ///< Called with the joint objective alone.
  };

  PolicyTrainer(PolicyTrainerOptions options, Deps deps);

  /// Blocks until Stop(). OK then, after a last checkpoint. The error of `make_learner`, where no
  /// learner can be made for the environment; INVALID_ARGUMENT where a real reward is not positive
  /// and the joint objective needs it; INTERNAL where update after update fails: the weights are
  /// lost then, and a restart goes on from the last checkpoint.
  absl::Status Run();

  /// Ends Run() soon, also within a grant. Does not wait for it.
  void Stop();

 private:
  /// Sums of an update's figures over a grant.
  struct GrantFigures;

  absl::Status Prepare();
  absl::Status RestoreCheckpoint();
  absl::Status ServeGrants();
  absl::StatusOr<Grant> Ask();
  /// Real rows in a batch, while there are imagined ones.
  int64_t RealRows() const;
  /// Lets the directives take effect, and keeps what they could go back to.
  absl::Status ApplyKnobs(const Grant& grant);
  absl::Status Serve(const Grant& grant);
  absl::Status UpdateOn(const Grant& grant);
  /// `updates` updates on rows of one draw of real rows, `real_rows` for each.
  absl::Status UpdateChunk(const Grant& grant, int64_t updates, int64_t real_rows,
                           GrantFigures* figures);
  /// OK: try the update again, whose noise is another then.
  absl::Status HandleFailedUpdate(const absl::Status& status);
  /// Fills batch_: `real_rows` of the real rows from row `first` on, the rest imagined.
  void FillBatch(const TransitionBatch& real, int64_t first, int64_t real_rows);
  absl::Status Publish();
  void Checkpoint(bool now);

  const PolicyTrainerOptions options_;
  Deps deps_;
  PolicyTrainerMetrics metrics_;
  training::Checkpointer checkpointer_;
  StopSignal stop_;
  Knobs knobs_;

  EnvironmentSpec spec_;
  std::unique_ptr<policy::SacLearner> learner_;
  std::optional<RealSampler> sampler_;
  std::optional<ModelFollower> models_;
  std::optional<ImaginationStage> imagination_;
  std::unique_ptr<JointPayment> joint_;  // null without the joint objective
  TransitionBatch batch_;                // of one update; kept, so that no update allocates
  Grant last_grant_;                     // the last that was served
  std::optional<uint64_t> published_updates_;
  int failures_in_a_row_ = 0;
  uint64_t saved_updates_ = 0;
};

}  // namespace tandem::policy_trainer
