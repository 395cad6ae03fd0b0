#include "services/policy_trainer/core/policy_trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/transient.h"
#include "common/data/rows.h"
#include "common/training/peer_wait.h"

namespace tandem::policy_trainer {
namespace {

constexpr int64_t kMostUpdatesInGrant = 1000;
constexpr int64_t kMostSampledRows = 1'000'000;  // of one draw, by the replay buffer's contract
constexpr int kMostFailuresInARow = 10;

}  // namespace

struct PolicyTrainer::GrantFigures {
  int64_t updates = 0;
  nn::SacFigures sums;
  double temperature = 0;

  void Add(const nn::SacFigures& figures) {
    ++updates;
    sums.critic_loss += figures.critic_loss;
    sums.actor_loss += figures.actor_loss;
    sums.entropy += figures.entropy;
    sums.q_mean += figures.q_mean;
    sums.target_mean += figures.target_mean;
    temperature = figures.temperature;
  }

  void Show(PolicyTrainerMetrics& metrics) const {
    if (updates == 0) return;
    const double n = static_cast<double>(updates);
    metrics.critic_loss.Set(sums.critic_loss / n);
    metrics.actor_loss.Set(sums.actor_loss / n);
    metrics.entropy.Set(sums.entropy / n);
    metrics.q_mean.Set(sums.q_mean / n);
    metrics.target_mean.Set(sums.target_mean / n);
    metrics.temperature.Set(temperature);
  }
};

PolicyTrainer::PolicyTrainer(PolicyTrainerOptions options, Deps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      metrics_(deps_.metrics),
      checkpointer_({.state_dir = options_.state_dir,
                     .interval = options_.checkpoint_interval,
                     .metric_prefix = "tandem_policy_trainer"},
                    deps_.clock, deps_.metrics),
      knobs_({.real_share = options_.real_share,
              .pessimism = options_.imagination.pessimism,
              .horizon =
                  std::max(options_.imagination.horizon_start, options_.imagination.horizon_end),
              .refit_interval = options_.imagination.refit_interval},
             deps_.directives, deps_.metrics, deps_.clock) {}

void PolicyTrainer::Stop() {
  stop_.Stop();
  if (deps_.directives != nullptr) deps_.directives->Stop();
  deps_.models.Stop();
  deps_.replay.Stop();
}

absl::Status PolicyTrainer::Run() {
  absl::Status status = Prepare();
  if (status.ok()) status = ServeGrants();
  if (absl::IsCancelled(status) && stop_.stopped()) status = absl::OkStatus();
  if (status.ok() && learner_ != nullptr) Checkpoint(/*now=*/true);
  return status;
}

absl::Status PolicyTrainer::Prepare() {
  TANDEM_ASSIGN_OR_RETURN(spec_, training::WaitForSpec(deps_.replay, stop_, deps_.clock));
  TANDEM_ASSIGN_OR_RETURN(learner_, deps_.make_learner(spec_));
  if (options_.joint) {
    TANDEM_ASSIGN_OR_RETURN(joint_, JointPayment::Create(*options_.joint, deps_.metrics));
  }
  TANDEM_RETURN_IF_ERROR(RestoreCheckpoint());
  saved_updates_ = learner_->updates();
  sampler_.emplace(deps_.replay, spec_, stop_, deps_.clock);
  ModelFollower::LoadClassifier load_classifier;
  if (joint_ != nullptr) {
    load_classifier = [this](const auto& file) { return deps_.load_classifier(file, spec_); };
  }
  models_.emplace(
      deps_.models, [this](const nn::TensorFile& file) { return deps_.load_model(file, spec_); },
      stop_, deps_.clock, deps_.metrics, load_classifier);
  ImaginationOptions imagination = options_.imagination;
  std::unique_ptr<objective::StateClassifier> states;
  if (options_.joint) {
    imagination.ratio = options_.joint->ratio;
    if (options_.joint->states) {
      TANDEM_ASSIGN_OR_RETURN(states, objective::StateClassifier::Create(spec_.observation.dim(),
                                                                         *options_.joint->states));
    }
  }
  imagination_.emplace(imagination, spec_, *models_, *sampler_, metrics_, stop_, deps_.clock,
                       std::move(states));
  batch_ = MakeRows(spec_.observation.dim(), spec_.action.dim(), options_.batch_size);
  return Publish();
}

absl::Status PolicyTrainer::RestoreCheckpoint() {
  const std::optional<nn::TensorFile> state = checkpointer_.Load();
  if (!state.has_value()) return absl::OkStatus();
  absl::Status status = learner_->LoadState(*state);
  if (status.ok() && joint_ != nullptr) status = joint_->Load(*state);
  if (status.ok()) {
    knobs_.Load(*state);
    LogInfo(absl::StrCat("restored the policy after ", learner_->updates(), " updates from ",
                         checkpointer_.path()));
    return absl::OkStatus();
  }
  checkpointer_.Refused(status);
  TANDEM_ASSIGN_OR_RETURN(learner_, deps_.make_learner(spec_));  // it may be restored in part
  return absl::OkStatus();
}

absl::Status PolicyTrainer::ServeGrants() {
  while (!stop_.stopped()) {
    TANDEM_ASSIGN_OR_RETURN(const Grant grant, Ask());
    if (grant.stop) {
      LogInfo("the run is over; waiting to be stopped");
      TANDEM_RETURN_IF_ERROR(Publish());
      Checkpoint(/*now=*/true);
      while (stop_.Sleep(absl::Seconds(60))) {
      }
      break;
    }
    TANDEM_RETURN_IF_ERROR(ApplyKnobs(grant));
    TANDEM_RETURN_IF_ERROR(Serve(grant));
    Checkpoint(/*now=*/false);
  }
  return absl::OkStatus();
}

absl::StatusOr<Grant> PolicyTrainer::Ask() {
  return training::WaitForGrant(deps_.replay, stop_, deps_.clock, metrics_.waiting_seconds, [this] {
    return Progress{.role = Role::kPolicyTrainer,
                    .member = options_.member,
                    .wanted = options_.lockstep ? kMostUpdatesInGrant : options_.publish_interval,
                    .policy_updates = static_cast<int64_t>(learner_->updates())};
  });
}

int64_t PolicyTrainer::RealRows() const {
  const auto batch = static_cast<double>(options_.batch_size);
  return std::clamp<int64_t>(std::llround(knobs_.real_share() * batch), 0, options_.batch_size);
}

absl::Status PolicyTrainer::ApplyKnobs(const Grant& grant) {
  if (grant.granted > 0 && knobs_.KeepDue(grant.env_steps)) {
    TANDEM_RETURN_IF_ERROR(Publish());  // what is kept has been published
    knobs_.Keep(*learner_, grant.env_steps);
  }
  knobs_.Apply(grant, *learner_);
  imagination_->SetUse(knobs_.use());
  return absl::OkStatus();
}

absl::Status PolicyTrainer::Serve(const Grant& grant) {
  absl::Status status;
  if (grant.granted > 0) {
    if (RealRows() < options_.batch_size) {
      status = imagination_->Refresh(grant, *learner_);
      // The draws are those of the grant: what failed on them may fail on them for ever, unless a
      // peer was away.
      if (!status.ok() && !IsTransient(status)) ++failures_in_a_row_;
    }
    if (status.ok()) status = UpdateOn(grant);
    if (stop_.stopped()) return absl::OkStatus();
    if (joint_ != nullptr) TANDEM_RETURN_IF_ERROR(joint_->refused());
    if (failures_in_a_row_ >= kMostFailuresInARow) return status;
    if (!status.ok()) {
      LogWarning(
          absl::StrCat("grant of ", grant.granted, " updates not used: ", status.ToString()));
      if (!absl::IsDeadlineExceeded(status)) stop_.Sleep(absl::Seconds(1));
      return absl::OkStatus();
    }
  }
  // Without a grant nothing is held back: a side that waits for this policy must not wait for ever.
  const bool due = options_.lockstep || grant.granted == 0 ||
                   learner_->updates() >= *published_updates_ + options_.publish_interval;
  return due ? Publish() : absl::OkStatus();
}

absl::Status PolicyTrainer::UpdateOn(const Grant& grant) {
  const int64_t real_rows = imagination_->pool().rows() > 0 ? RealRows() : options_.batch_size;
  const int64_t in_draw =
      real_rows == 0 ? grant.granted : std::max<int64_t>(1, kMostSampledRows / real_rows);
  GrantFigures figures;
  absl::Status status;
  if (const auto smallest = imagination_->smallest_reward(); joint_ != nullptr && smallest) {
    status = joint_->Observe(std::array{static_cast<float>(*smallest)});
  }
  for (int64_t done = 0; done < grant.granted && status.ok();) {
    const int64_t updates = std::min(grant.granted - done, in_draw);
    status = UpdateChunk(grant, updates, real_rows, &figures);
    done += updates;
  }
  figures.Show(metrics_);
  if (joint_ != nullptr) joint_->Show(imagination_->ratios());
  metrics_.real_share.Set(static_cast<double>(real_rows) /
                          static_cast<double>(options_.batch_size));
  metrics_.policy_updates.Set(static_cast<double>(learner_->updates()));
  last_grant_ = grant;
  return status;
}

absl::Status PolicyTrainer::UpdateChunk(const Grant& grant, int64_t updates, int64_t real_rows,
                                        GrantFigures* figures) {
  TransitionBatch real;
  if (real_rows > 0) {
    const absl::Duration start = deps_.clock.Monotonic();
    const uint64_t seed =
        StreamSeed(options_.seed, absl::StrCat("real_rows/", learner_->updates()));
    TANDEM_ASSIGN_OR_RETURN(real, sampler_->Sample(SampleKind::kTransitions, updates * real_rows,
                                                   seed, grant.through_index));
    if (joint_ != nullptr) TANDEM_RETURN_IF_ERROR(joint_->Observe(real.rewards));
    metrics_.sample_seconds.Observe(absl::ToDoubleSeconds(deps_.clock.Monotonic() - start));
  }
  for (int64_t i = 0; i < updates;) {
    if (stop_.stopped()) return absl::CancelledError("stopped");
    const absl::Duration start = deps_.clock.Monotonic();
    FillBatch(real, i * real_rows, real_rows);
    const absl::StatusOr<nn::SacFigures> update = learner_->Update(batch_);
    if (!update.ok()) {
      TANDEM_RETURN_IF_ERROR(HandleFailedUpdate(update.status()));
      continue;
    }
    ++i;
    failures_in_a_row_ = 0;
    if (joint_ != nullptr) joint_->Updated();
    figures->Add(*update);
    metrics_.updates.Increment();
    metrics_.update_seconds.Observe(absl::ToDoubleSeconds(deps_.clock.Monotonic() - start));
  }
  return absl::OkStatus();
}

void PolicyTrainer::FillBatch(const TransitionBatch& real, int64_t first, int64_t real_rows) {
  std::span<float> ratios;
  if (joint_ != nullptr) ratios = joint_->Ratios(options_.batch_size);
  if (real_rows > 0) CopyRows(real, first, real_rows, 0, &batch_);
  if (real_rows < options_.batch_size) {
    Rng rng(options_.seed, absl::StrCat("imagined_rows/", learner_->updates()));
    imagination_->pool().Sample(rng, options_.batch_size - real_rows, real_rows, &batch_, ratios);
  }
  if (joint_ != nullptr) joint_->Pay(&batch_, real_rows);
}

absl::Status PolicyTrainer::HandleFailedUpdate(const absl::Status& status) {
  metrics_.failed_updates.Increment();
  LogError(absl::StrCat("update ", learner_->updates() + 1, " failed: ", status.ToString()));
  if (++failures_in_a_row_ < kMostFailuresInARow) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(failures_in_a_row_, " updates in a row failed after ",
                                          learner_->updates(), ": ", status.ToString()));
}

absl::Status PolicyTrainer::Publish() {
  if (learner_->updates() == published_updates_) return absl::OkStatus();
  const absl::Duration start = deps_.clock.Monotonic();
  nn::TensorFile file = learner_->ExportPolicy();
  file.metadata[snapshot::kPolicyUpdatesKey] = absl::StrCat(learner_->updates());
  file.metadata[snapshot::kModelVersionKey] = absl::StrCat(imagination_->model_version());
  file.metadata[snapshot::kThroughIndexKey] = absl::StrCat(last_grant_.through_index);
  file.metadata[snapshot::kEnvStepsKey] = absl::StrCat(last_grant_.env_steps);
  file.metadata[snapshot::kHorizonKey] = absl::StrCat(imagination_->horizon());
  file.metadata[snapshot::kRealShareKey] = absl::StrCat(knobs_.real_share());
  file.metadata[snapshot::kPessimismKey] = absl::StrCat(knobs_.use().pessimism);
  file.metadata[snapshot::kTruncatedShareKey] = absl::StrCat(imagination_->truncated_share());
  if (joint_ != nullptr) joint_->Describe(&file);
  TANDEM_RETURN_IF_ERROR(deps_.publisher.Publish(file).status());
  published_updates_ = learner_->updates();
  metrics_.policy_updates.Set(static_cast<double>(learner_->updates()));
  metrics_.publish_seconds.Observe(absl::ToDoubleSeconds(deps_.clock.Monotonic() - start));
  return absl::OkStatus();
}

void PolicyTrainer::Checkpoint(bool now) {
  if (learner_->updates() == saved_updates_ || !(now || checkpointer_.Due())) return;
  nn::TensorFile state = learner_->SaveState();
  knobs_.Save(&state);
  if (joint_ != nullptr) joint_->Save(&state);
  if (checkpointer_.Save(state).ok()) saved_updates_ = learner_->updates();
}

}  // namespace tandem::policy_trainer
