#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/data/spec.h"
#include "common/metrics/registry.h"
#include "common/objective/classifier_learner.h"
#include "common/objective/transition_classifier.h"
#include "common/objective/useful_model.h"
#include "common/snapshot/snapshot.h"
#include "services/model_trainer/core/companion.h"

namespace tandem::model_trainer {

struct JointCompanionOptions {
  objective::ClassifierLearnerOptions classifier;
  objective::UsefulModelOptions model_loss;  ///< With weights 0: the likelihood alone.
};

/// The model trainer's side of the joint objective (docs/algorithms.md): the classifier of real
/// against modelled transitions, fitted after each fit of the model and published with it, and the
/// terms of equation (7) in the model's loss. The critic for those comes from the newest policy
/// snapshot, in lockstep from exactly the policy whose updates precede the fit, unless that does
/// not come in 5 s: then from the newest there is. Until there is one that has been updated the
/// value term is 0. The log says either.
///
/// Not thread-safe.
class JointCompanion : public Companion {
 public:
  /// policies: needed where model_loss has a value_weight; else null. It, registry and clock
  /// outlive this. INVALID_ARGUMENT on options out of range.
  static absl::StatusOr<std::unique_ptr<Companion>> Create(const EnvironmentSpec& spec,
                                                           const JointCompanionOptions& options,
                                                           snapshot::SnapshotSource* policies,
                                                           metrics::Registry& registry,
                                                           Clock& clock);

  absl::Status Prepare(const Grant& grant, dynamics::EnsembleLearner& learner) override;
  absl::Status Fit(const dynamics::EnsembleLearner& learner, const TransitionBatch& train,
                   const TransitionBatch& holdout, const std::function<bool()>& cancelled) override;
  void Export(nn::TensorFile* snapshot) const override;
  void Save(nn::TensorFile* state) const override;
  absl::Status Load(const nn::TensorFile& state) override;

 private:
  JointCompanion(const EnvironmentSpec& spec, const JointCompanionOptions& options,
                 std::unique_ptr<objective::ClassifierLearner> learner,
                 std::unique_ptr<objective::UsefulModel> useful, snapshot::SnapshotSource* policies,
                 metrics::Registry& registry, Clock& clock);

  /// Waits for the critic of so many updates; at the deadline takes the newest that has had any.
  void TakeCritic(int64_t policy_updates);
  void UseCritic(const nn::TensorFile& policy, int64_t updates);
  /// The classifier as it is now, for the model's loss, where that has a ratio_weight.
  absl::Status KeepClassifier();
  void Show(const objective::ClassifierReport& report);

  const EnvironmentSpec spec_;
  const JointCompanionOptions options_;
  std::unique_ptr<objective::ClassifierLearner> learner_;
  std::unique_ptr<objective::UsefulModel> useful_;
  snapshot::SnapshotSource* const policies_;
  Clock& clock_;
  metrics::Histogram& seconds_;
  metrics::Gauge& accuracy_;
  metrics::Gauge& loss_;
  metrics::Gauge& real_logit_;
  metrics::Gauge& model_logit_;
  metrics::Gauge& critic_updates_;

  std::unique_ptr<objective::TransitionClassifier> classifier_;  // null: none is needed yet
  double smallest_reward_ = std::numeric_limits<double>::infinity();
  int64_t updates_in_use_ = 0;  // of the critic in the model's loss; 0: there is none
  bool missing_critic_told_ = false;
};

/// What ModelTrainer::Deps takes: JointCompanion::Create with all but the spec given; empty where
/// there are no options.
std::function<absl::StatusOr<std::unique_ptr<Companion>>(const EnvironmentSpec&)>
JointCompanionMaker(const std::optional<JointCompanionOptions>& options,
                    snapshot::SnapshotSource* policies, metrics::Registry& registry, Clock& clock);

}  // namespace tandem::model_trainer
