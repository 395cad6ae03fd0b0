#include "services/model_trainer/core/model_trainer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/training/peer_wait.h"

namespace tandem::model_trainer {
namespace {

constexpr absl::Duration kPauseAfterFailure = absl::Seconds(1);
constexpr int kFailuresBeforeNewWeights = 3;
constexpr char kWeightsThroughKey[] = "weights.through_index";
constexpr char kWeightsEnvStepsKey[] = "weights.env_steps";

}  // namespace

ModelTrainer::ModelTrainer(ModelTrainerOptions options, Deps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      metrics_(deps_.metrics),
      checkpointer_({.state_dir = options_.state_dir,
                     .interval = options_.checkpoint_interval,
                     .metric_prefix = "tandem_model_trainer"},
                    deps_.clock, deps_.metrics),
      knobs_(options_.members, deps_.directives, deps_.metrics, deps_.clock) {}

void ModelTrainer::Stop() {
  stop_.Stop();
  if (deps_.directives != nullptr) deps_.directives->Stop();
  if (deps_.policies != nullptr) deps_.policies->Stop();
  deps_.replay.Stop();
}

absl::Status ModelTrainer::Run() {
  const absl::Status prepared = Prepare();
  if (absl::IsCancelled(prepared)) return absl::OkStatus();
  TANDEM_RETURN_IF_ERROR(prepared);
  ServeGrants();
  Checkpoint(/*now=*/true);
  return absl::OkStatus();
}

absl::Status ModelTrainer::Prepare() {
  TANDEM_ASSIGN_OR_RETURN(spec_, training::WaitForSpec(deps_.replay, stop_, deps_.clock));
  TANDEM_RETURN_IF_ERROR(options_.planted.Check(spec_.observation.dim()));
  TANDEM_RETURN_IF_ERROR(MakeLearners());
  TANDEM_RETURN_IF_ERROR(RestoreCheckpoint());
  train_.emplace(deps_.replay, spec_, Split::kTrain, options_.replay_capacity, stop_, deps_.clock);
  holdout_.emplace(deps_.replay, spec_, Split::kHoldout, options_.replay_capacity, stop_,
                   deps_.clock);
  return absl::OkStatus();
}

absl::Status ModelTrainer::MakeLearners() {
  std::unique_ptr<Companion> companion;
  if (deps_.make_companion) {
    TANDEM_ASSIGN_OR_RETURN(companion, deps_.make_companion(spec_));
  }
  TANDEM_ASSIGN_OR_RETURN(learner_, deps_.make_learner(spec_));
  companion_ = std::move(companion);
  return absl::OkStatus();
}

absl::Status ModelTrainer::RestoreCheckpoint() {
  const std::optional<nn::TensorFile> state = checkpointer_.Load();
  if (!state.has_value()) return absl::OkStatus();
  absl::Status status = learner_->LoadState(*state);
  if (status.ok() && companion_ != nullptr) status = companion_->Load(*state);
  if (status.ok()) {
    knobs_.Load(*state);
    weights_through_ = nn::FindInt(*state, kWeightsThroughKey).value_or(0);
    weights_env_steps_ = nn::FindInt(*state, kWeightsEnvStepsKey).value_or(0);
    LogInfo(absl::StrCat("restored the model's weights from ", checkpointer_.path()));
    return absl::OkStatus();
  }
  checkpointer_.Refused(status);
  return MakeLearners();  // they may be restored in part
}

void ModelTrainer::ServeGrants() {
  while (!stop_.stopped()) {
    const absl::StatusOr<Grant> grant = Ask();
    if (!grant.ok()) return;  // stopped
    if (grant->stop) {
      LogInfo("the run is over; waiting to be stopped");
      Checkpoint(/*now=*/true);
      while (stop_.Sleep(absl::Seconds(60))) {
      }
      return;
    }
    knobs_.Apply(*grant);
    if (grant->granted > 0) {
      const absl::Status status = FitAndPublish(*grant);
      if (stop_.stopped()) return;
      if (absl::IsDeadlineExceeded(status)) {
        LogWarning(absl::StrCat("a granted fit is void: ", status.message()));
      } else if (!status.ok()) {
        HandleFailure(status);
      }
    }
    Checkpoint(/*now=*/false);
  }
}

absl::StatusOr<Grant> ModelTrainer::Ask() {
  const auto progress = [this] {
    return Progress{.role = Role::kModelTrainer,
                    .member = options_.member,
                    .wanted = 1,
                    .model_through_index = published_through_,
                    .fitted_through_index = fitted_through_};
  };
  return training::WaitForGrant(deps_.replay, stop_, deps_.clock, metrics_.waiting_seconds,
                                progress, [this] { CheckBufferStillHolds(); });
}

void ModelTrainer::CheckBufferStillHolds() {
  const absl::StatusOr<ReplayStatus> status = deps_.replay.GetStatus();
  if (status.ok() && status->end_index < published_through_) FetchAllAgain(status->end_index);
}

void ModelTrainer::FetchAllAgain(int64_t end_index) {
  LogWarning(absl::StrCat("the replay buffer came back with ", end_index,
                          " steps, the model has used more: fetching all steps again"));
  published_through_ = fitted_through_ = weights_through_ = 0;
  train_->Clear();
  holdout_->Clear();
}

bool ModelTrainer::Frozen(const Grant& grant) const {
  if (options_.freeze_after <= 0 || grant.env_steps <= options_.freeze_after) return false;
  // Weights of more steps than the buffer has are those of another life of it.
  const bool has_weights = weights_through_ > 0 && weights_through_ <= grant.through_index;
  return has_weights && !knobs_.refit_wanted();
}

absl::Status ModelTrainer::FitAndPublish(const Grant& grant) {
  if (Frozen(grant)) return Publish(grant);
  // The bound of a grant never goes back, unless the buffer lost its steps.
  if (grant.through_index < std::max(train_->next_index(), holdout_->next_index())) {
    FetchAllAgain(grant.through_index);
  }
  const absl::Duration start = deps_.clock.Monotonic();
  TANDEM_RETURN_IF_ERROR(train_->Update(grant.through_index));
  TANDEM_RETURN_IF_ERROR(holdout_->Update(grant.through_index));
  const absl::Duration fetched = deps_.clock.Monotonic();
  metrics_.fetch_seconds.Observe(absl::ToDoubleSeconds(fetched - start));

  unsaved_ = true;
  const auto cancelled = [this] { return stop_.stopped(); };
  TANDEM_RETURN_IF_ERROR(knobs_.Prepare(*learner_));
  if (companion_ != nullptr) TANDEM_RETURN_IF_ERROR(companion_->Prepare(grant, *learner_));
  TANDEM_ASSIGN_OR_RETURN(const dynamics::FitReport report,
                          learner_->Fit(train_->rows(), holdout_->rows(), cancelled));
  knobs_.FitDone();
  if (companion_ != nullptr) {
    TANDEM_RETURN_IF_ERROR(companion_->Fit(*learner_, train_->rows(), holdout_->rows(), cancelled));
  }
  weights_through_ = grant.through_index;
  weights_env_steps_ = grant.env_steps;
  metrics_.fit_seconds.Observe(absl::ToDoubleSeconds(deps_.clock.Monotonic() - fetched));
  metrics_.gradient_steps.Increment(report.gradient_steps);
  TANDEM_RETURN_IF_ERROR(Publish(grant));
  metrics_.fits.Increment();
  Show(report);
  return absl::OkStatus();
}

absl::Status ModelTrainer::Publish(const Grant& grant) {
  nn::TensorFile file = learner_->ExportModel();
  if (companion_ != nullptr) companion_->Export(&file);
  file.metadata[snapshot::kThroughIndexKey] = absl::StrCat(weights_through_);
  file.metadata[snapshot::kEnvStepsKey] = absl::StrCat(weights_env_steps_);
  if (grant.env_steps >= options_.planted_from) options_.planted.Export(&file);
  TANDEM_ASSIGN_OR_RETURN(const std::shared_ptr<const snapshot::Snapshot> published,
                          deps_.publisher.Publish(file));
  published_through_ = weights_through_;
  fitted_through_ = grant.through_index;
  failures_in_a_row_ = 0;
  metrics_.model_version.Set(static_cast<double>(published->version.version));
  metrics_.model_through_index.Set(static_cast<double>(published_through_));
  LogInfo(absl::StrFormat("model %d through index %d%s", published->version.version,
                          published_through_,
                          published_through_ < fitted_through_ ? ", frozen" : ""));
  return absl::OkStatus();
}

void ModelTrainer::Show(const dynamics::FitReport& report) {
  metrics_.train_loss.Set(report.train_loss);
  metrics_.holdout_nll.Set(report.holdout_nll);
  metrics_.holdout_error.Set(report.holdout_error);
  metrics_.holdout_reward_error.Set(report.holdout_reward_error);
  metrics_.holdout_termination_loss.Set(report.holdout_termination_loss);
  metrics_.train_rows.Set(static_cast<double>(report.train_rows));
  metrics_.holdout_rows.Set(static_cast<double>(report.holdout_rows));
  // NaN where the reward is known.
  const std::string reward =
      std::isnan(report.holdout_reward_error)
          ? ""
          : absl::StrFormat(", reward error %.3f", report.holdout_reward_error);
  LogInfo(
      absl::StrFormat("fit: %d gradient steps on %d rows in %.2f s, holdout nll %.3f, error %.3f%s",
                      report.gradient_steps, report.train_rows, report.seconds, report.holdout_nll,
                      report.holdout_error, reward));
}

void ModelTrainer::HandleFailure(const absl::Status& status) {
  metrics_.fit_failures.Increment();
  ++failures_in_a_row_;
  LogError(absl::StrCat("fit ", failures_in_a_row_, " in a row failed: ", status.ToString()));
  if (failures_in_a_row_ % kFailuresBeforeNewWeights == 0) {
    if (MakeLearners().ok()) {
      LogWarning("starting again from new weights");
      weights_through_ = 0;
      unsaved_ = false;
    }
  }
  stop_.Sleep(kPauseAfterFailure);
}

void ModelTrainer::Checkpoint(bool now) {
  if (!unsaved_ || !(now || checkpointer_.Due())) return;
  nn::TensorFile state = learner_->SaveState();
  if (companion_ != nullptr) companion_->Save(&state);
  knobs_.Save(&state);
  state.metadata[kWeightsThroughKey] = absl::StrCat(weights_through_);
  state.metadata[kWeightsEnvStepsKey] = absl::StrCat(weights_env_steps_);
  unsaved_ = !checkpointer_.Save(state).ok();
}

}  // namespace tandem::model_trainer
