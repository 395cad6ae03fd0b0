#include "services/model_trainer/options.h"

#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/nn/device.h"

namespace tandem::model_trainer {
namespace {

dynamics::TerminationKind TerminationOf(config::v1::Termination termination) {
  switch (termination) {
    case config::v1::TERMINATION_LEARNED:
      return dynamics::TerminationKind::kLearned;
    case config::v1::TERMINATION_NEVER:
      return dynamics::TerminationKind::kNever;
    default:
      return dynamics::TerminationKind::kKnown;
  }
}

absl::StatusOr<dynamics::EnsembleLearnerOptions> LearnerFrom(const config::v1::RunConfig& config) {
  const config::v1::Model& model = config.model();
  dynamics::EnsembleLearnerOptions options;
  options.members = model.members();
  options.elites = model.elites();
  options.hidden.assign(model.hidden().begin(), model.hidden().end());
  options.adam.lr = model.lr();
  options.adam.weight_decay = model.weight_decay();
  options.batch_size = model.batch_size();
  options.patience_epochs = model.patience_epochs();
  options.patience_steps = model.patience_steps();
  options.min_improvement = model.min_improvement();
  options.max_gradient_steps = model.max_gradient_steps();
  options.first_gradient_steps = model.first_gradient_steps();
  options.termination = TerminationOf(model.termination());
  options.deterministic = model.deterministic();
  options.known_reward = model.known_reward();
  options.observation_margin = config.imagination().observation_margin();
  options.seed = config::SeedFor(config, model.has_seed(), model.seed(), "model");
  TANDEM_RETURN_IF_ERROR(nn::ResolveDevice(config.runtime().device(), &options.device));
  return options;
}

JointCompanionOptions JointFrom(const config::v1::RunConfig& config, const std::string& device) {
  const config::v1::Objective& objective = config.objective();
  JointCompanionOptions options;
  objective::ClassifierLearnerOptions& classifier = options.classifier;
  classifier.hidden.assign(objective.classifier_hidden().begin(),
                           objective.classifier_hidden().end());
  classifier.adam = {.lr = objective.classifier_lr(),
                     .weight_decay = objective.classifier_weight_decay()};
  classifier.batch_size = objective.classifier_batch_size();
  classifier.first_steps = objective.classifier_first_steps();
  classifier.fit_steps = objective.classifier_steps();
  classifier.smoothing = 1 - objective.classifier_target();
  classifier.label_range = objective.classifier_label_range();
  classifier.input_noise = objective.classifier_input_noise();
  classifier.max_gradient_norm = objective.classifier_max_gradient_norm();
  classifier.layer_norm = objective.classifier_layer_norm();
  classifier.device = device;
  classifier.seed = config::SeedFor(config, objective.has_seed(), objective.seed(), "objective");
  options.model_loss = {.value_weight = objective.model_value_weight(),
                        .ratio_weight = objective.model_ratio_weight(),
                        .ramp_steps = objective.model_ramp_steps(),
                        .device = device,
                        .seed = classifier.seed};
  return options;
}

dynamics::PlantedError PlantedIn(const config::v1::Study& study) {
  return {.reward = study.planted_reward(),
          .element = study.planted_element(),
          .low = study.planted_low(),
          .high = study.planted_high(),
          .member_share = study.planted_member_share()};
}

}  // namespace

absl::StatusOr<ServiceOptions> OptionsFrom(const config::v1::RunConfig& config) {
  const config::v1::Endpoints& endpoints = config.endpoints();
  if (endpoints.listen().empty() || endpoints.replay_buffer().empty()) {
    return absl::InvalidArgumentError(
        "model_trainer: set endpoints.listen and endpoints.replay_buffer");
  }
  ServiceOptions options;
  options.simulator = config.model().kind() == config::v1::MODEL_KIND_SIMULATOR;
  TANDEM_ASSIGN_OR_RETURN(options.learner, LearnerFrom(config));
  if (config.objective().kind() == config::v1::OBJECTIVE_KIND_MNM) {
    options.joint = JointFrom(config, options.learner.device);
    if (options.joint->model_loss.value_weight > 0) {
      if (endpoints.policy_trainer().empty()) {
        return absl::InvalidArgumentError(
            "model_trainer: objective.model_value_weight needs endpoints.policy_trainer");
      }
      options.policy_trainer = endpoints.policy_trainer();
    }
  }
  options.trainer.planted = PlantedIn(config.study());
  options.trainer.planted_from = config.study().planted_from();
  if (!endpoints.member().empty()) options.trainer.member = endpoints.member();
  options.trainer.replay_capacity = config.replay().capacity();
  options.trainer.state_dir = endpoints.state_dir();
  options.trainer.checkpoint_interval = absl::Seconds(config.runtime().checkpoint_seconds());
  options.server.role = "model_trainer";
  options.server.address = endpoints.listen();
  options.server.metrics_address = endpoints.metrics();
  options.server.state_dir = endpoints.state_dir();
  options.trainer.members = config.model().members();
  options.trainer.freeze_after = config.model().freeze_after();
  options.replay_buffer = endpoints.replay_buffer();
  options.monitor = endpoints.monitor();
  options.threads = config::Threads(config);
  options.drain = absl::Seconds(config.runtime().drain_seconds());
  return options;
}

}  // namespace tandem::model_trainer
