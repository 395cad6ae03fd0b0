#include "services/policy_trainer/core/model_follower.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace tandem::policy_trainer {

ModelFollower::ModelFollower(snapshot::SnapshotSource& source, LoadModel load, StopSignal& stop,
                             Clock& clock, metrics::Registry& metrics,
                             LoadClassifier load_classifier)
    : source_(source),
      load_(std::move(load)),
      load_classifier_(std::move(load_classifier)),
      stop_(stop),
      clock_(clock),
      rejected_(metrics.AddCounter("tandem_policy_trainer_models_rejected_total",
                                   "Model snapshots that could not be loaded.")) {}

absl::StatusOr<FollowedModel> ModelFollower::WaitFor(int64_t through_index, bool exact,
                                                     absl::Duration timeout) {
  const absl::Duration deadline = clock_.Monotonic() + timeout;
  absl::Status why = absl::NotFoundError("no model has been published");
  snapshot::Version seen;
  for (std::shared_ptr<const snapshot::Snapshot> newest = source_.Latest(); !stop_.stopped();) {
    if (newest != nullptr && snapshot::IsNewer(newest->version, seen)) {
      seen = newest->version;
      absl::StatusOr<FollowedModel> model = Try(*newest, through_index, exact);
      if (model.ok()) return model;
      why = model.status();
    }
    const absl::Duration left = deadline - clock_.Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("waiting for the model ", exact ? "that used exactly" : "that used",
                       " the steps below index ", through_index, ": ", why.message()));
    }
    newest = source_.WaitNewer(seen, std::min(left, absl::Seconds(1)));
  }
  return absl::CancelledError("stopped while waiting for a model");
}

absl::StatusOr<FollowedModel> ModelFollower::Try(const snapshot::Snapshot& snapshot,
                                                 int64_t through_index, bool exact) {
  if (snapshot.version == bad_) return absl::FailedPreconditionError("the newest was rejected");
  absl::StatusOr<FollowedModel> model = Load(snapshot);
  if (!model.ok()) {
    bad_ = snapshot.version;
    rejected_.Increment();
    LogError(absl::StrCat("rejected model ", snapshot.version.version, " of epoch ",
                          snapshot.version.epoch, ": ", model.status().ToString()));
    return model;
  }
  const bool fits =
      exact ? model->through_index == through_index : model->through_index >= through_index;
  if (!fits) {
    return absl::FailedPreconditionError(
        absl::StrCat("the newest used those below ", model->through_index));
  }
  return model;
}

absl::StatusOr<FollowedModel> ModelFollower::Load(const snapshot::Snapshot& snapshot) {
  FollowedModel followed{.version = snapshot.version};
  TANDEM_ASSIGN_OR_RETURN(const nn::TensorFile file, snapshot.Parse());
  TANDEM_ASSIGN_OR_RETURN(followed.through_index, nn::FindInt(file, snapshot::kThroughIndexKey));
  TANDEM_ASSIGN_OR_RETURN(followed.env_steps, nn::FindInt(file, snapshot::kEnvStepsKey));
  TANDEM_ASSIGN_OR_RETURN(followed.model, load_(file));
  if (load_classifier_) {
    TANDEM_ASSIGN_OR_RETURN(followed.classifier, load_classifier_(file));
    const auto smallest = nn::FindDouble(file, snapshot::kSmallestRewardKey);
    if (smallest.ok()) followed.smallest_reward = *smallest;
  }
  return followed;
}

}  // namespace tandem::policy_trainer
