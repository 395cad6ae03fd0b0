#include "services/model_trainer/core/joint_companion.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/dynamics/dynamics_model.h"

namespace tandem::model_trainer {
namespace {

constexpr absl::Duration kCriticWait = absl::Seconds(5);
constexpr char kLogitHelp[] =
    "Mean logit of the classifier on held-out steps [nats], by where the next observation is from.";

int64_t UpdatesOf(const nn::TensorFile& policy) {
  return nn::FindInt(policy, snapshot::kPolicyUpdatesKey).value_or(0);
}

/// Infinite, as before the first row: not written.
void PutSmallestReward(double smallest, nn::TensorFile* file) {
  if (!std::isfinite(smallest)) return;
  file->metadata[snapshot::kSmallestRewardKey] = absl::StrFormat("%.9g", smallest);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Companion>> JointCompanion::Create(
    const EnvironmentSpec& spec, const JointCompanionOptions& options,
    snapshot::SnapshotSource* policies, metrics::Registry& registry, Clock& clock) {
  if (options.model_loss.value_weight > 0 && policies == nullptr) {
    return absl::InvalidArgumentError(
        "joint objective: a value_weight needs the policy trainer's snapshots");
  }
  TANDEM_ASSIGN_OR_RETURN(auto learner,
                          objective::ClassifierLearner::Create(spec, options.classifier));
  TANDEM_ASSIGN_OR_RETURN(auto useful, objective::UsefulModel::Create(spec, options.model_loss));
  return std::unique_ptr<Companion>(new JointCompanion(
      spec, options, std::move(learner), std::move(useful), policies, registry, clock));
}

JointCompanion::JointCompanion(const EnvironmentSpec& spec, const JointCompanionOptions& options,
                               std::unique_ptr<objective::ClassifierLearner> learner,
                               std::unique_ptr<objective::UsefulModel> useful,
                               snapshot::SnapshotSource* policies, metrics::Registry& registry,
                               Clock& clock)
    : spec_(spec),
      options_(options),
      learner_(std::move(learner)),
      useful_(std::move(useful)),
      policies_(policies),
      clock_(clock),
      seconds_(registry.AddHistogram("tandem_model_trainer_classifier_fit_seconds",
                                     "Time of a fit of the classifier.",
                                     {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100})),
      accuracy_(registry.AddGauge("tandem_model_trainer_classifier_accuracy_ratio",
                                  "Share of held-out real and modelled transitions told right.")),
      loss_(registry.AddGauge("tandem_model_trainer_classifier_loss_nats",
                              "Cross-entropy of the classifier on held-out steps.")),
      real_logit_(registry.AddGauge("tandem_model_trainer_classifier_logit_nats", kLogitHelp,
                                    {{"of", "world"}})),
      model_logit_(registry.AddGauge("tandem_model_trainer_classifier_logit_nats", kLogitHelp,
                                     {{"of", "model"}})),
      critic_updates_(registry.AddGauge("tandem_model_trainer_critic_updates",
                                        "Updates that the critic in the model's loss has had.")) {}

absl::Status JointCompanion::Prepare(const Grant& grant, dynamics::EnsembleLearner& learner) {
  const objective::UsefulModelOptions& loss = options_.model_loss;
  if (loss.value_weight == 0 && loss.ratio_weight == 0) return absl::OkStatus();
  if (loss.value_weight > 0) TakeCritic(grant.policy_updates);
  useful_->SetClassifier(classifier_.get());
  return learner.SetSampleObjective(useful_.get());
}

void JointCompanion::TakeCritic(int64_t policy_updates) {
  const absl::Duration deadline = clock_.Monotonic() + kCriticWait;
  std::optional<nn::TensorFile> best;
  int64_t updates = 0;  // of the best
  auto newest = policies_->Latest();
  for (;;) {
    snapshot::Version seen;
    if (newest != nullptr) {
      seen = newest->version;
      absl::StatusOr<nn::TensorFile> file = newest->Parse();
      const int64_t had = file.ok() ? UpdatesOf(*file) : 0;
      if (had > 0) {
        updates = had;
        best = *std::move(file);
      }
    }
    const absl::Duration left = deadline - clock_.Monotonic();
    const bool enough = updates > 0 && updates >= policy_updates;
    if (enough || policy_updates <= 0 || left <= absl::ZeroDuration()) break;
    newest = policies_->WaitNewer(seen, left);
    if (newest == nullptr) break;
  }
  if (best) UseCritic(*best, updates);
  if (updates < policy_updates) {
    const std::string used = updates_in_use_ > 0
                                 ? absl::StrCat("with the critic of ", updates_in_use_, " updates")
                                 : "without a critic";
    LogWarning(absl::StrCat("the policy of ", policy_updates,
                            " updates has not come: the model is fitted ", used));
  } else if (updates_in_use_ == 0 && !std::exchange(missing_critic_told_, true)) {
    LogInfo("there is no critic yet: the model is fitted without the value of its samples");
  }
}

void JointCompanion::UseCritic(const nn::TensorFile& policy, int64_t updates) {
  const absl::Status taken = useful_->SetCritic(policy);
  if (!taken.ok()) {
    return LogError(
        absl::StrCat("the critic of ", updates, " updates is not used: ", taken.ToString()));
  }
  updates_in_use_ = updates;
  critic_updates_.Set(static_cast<double>(updates));
}

absl::Status JointCompanion::Fit(const dynamics::EnsembleLearner& learner,
                                 const TransitionBatch& train, const TransitionBatch& holdout,
                                 const std::function<bool()>& cancelled) {
  for (const TransitionBatch* rows : {&train, &holdout}) {
    for (const float r : rows->rewards) smallest_reward_ = std::min<double>(smallest_reward_, r);
  }
  const std::string& device = options_.classifier.device;
  TANDEM_ASSIGN_OR_RETURN(const auto model,
                          dynamics::LoadDynamicsModel(learner.ExportModel(), spec_, device));
  TANDEM_ASSIGN_OR_RETURN(const objective::ClassifierReport report,
                          learner_->Fit(train, holdout, *model, cancelled));
  Show(report);
  return KeepClassifier();
}

absl::Status JointCompanion::KeepClassifier() {
  if (options_.model_loss.ratio_weight == 0 || learner_->fits() == 0) return absl::OkStatus();
  useful_->SetClassifier(nullptr);
  nn::TensorFile file;
  learner_->Export(&file);
  TANDEM_ASSIGN_OR_RETURN(
      classifier_, objective::TransitionClassifier::Load(file, spec_, options_.classifier.device));
  return absl::OkStatus();
}

void JointCompanion::Show(const objective::ClassifierReport& report) {
  seconds_.Observe(report.seconds);
  const auto show = [&report](metrics::Gauge& gauge, double figure) {
    gauge.Set(report.held_out ? figure : std::numeric_limits<double>::quiet_NaN());
  };
  show(accuracy_, report.accuracy);
  show(loss_, report.loss);
  show(real_logit_, report.real_logit);
  show(model_logit_, report.model_logit);
  LogInfo(absl::StrFormat(
      "classifier: %d gradient steps in %.2f s, accuracy %.3f on %d %s steps, logit of the world's "
      "%.2f, of the model's %.2f (%.2f to %.2f)",
      report.gradient_steps, report.seconds, report.accuracy, report.scored_rows,
      report.held_out ? "held-out" : "training", report.real_logit, report.model_logit,
      report.model_logit_min, report.model_logit_max));
}

void JointCompanion::Export(nn::TensorFile* snapshot) const {
  learner_->Export(snapshot);
  PutSmallestReward(smallest_reward_, snapshot);
}

void JointCompanion::Save(nn::TensorFile* state) const {
  learner_->SaveState(state);
  useful_->SaveState(state);
  PutSmallestReward(smallest_reward_, state);
}

absl::Status JointCompanion::Load(const nn::TensorFile& state) {
  TANDEM_RETURN_IF_ERROR(learner_->LoadState(state));
  TANDEM_RETURN_IF_ERROR(useful_->LoadState(state));
  const auto smallest = nn::FindDouble(state, snapshot::kSmallestRewardKey);
  if (smallest.ok()) smallest_reward_ = *smallest;
  return KeepClassifier();
}

std::function<absl::StatusOr<std::unique_ptr<Companion>>(const EnvironmentSpec&)>
JointCompanionMaker(const std::optional<JointCompanionOptions>& options,
                    snapshot::SnapshotSource* policies, metrics::Registry& registry, Clock& clock) {
  if (!options) return {};
  return [options = *options, policies, &registry, &clock](const EnvironmentSpec& spec) {
    return JointCompanion::Create(spec, options, policies, registry, clock);
  };
}

}  // namespace tandem::model_trainer
