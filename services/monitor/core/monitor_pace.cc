#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "services/monitor/core/monitor.h"

/// The monitor as a side that the pace holds together with the others (lockstep): it looks at
/// snapshots at the pace's boundaries only, so that the same run gives the same figures.
namespace tandem::monitor {
namespace {

constexpr absl::Duration kGrantWait = absl::Seconds(1);
constexpr absl::Duration kArrivalWait = absl::Seconds(5);  // of what is published already
constexpr absl::Duration kArrivalPoll = absl::Milliseconds(5);

/// What the monitor tells the pace.
Progress ProgressOf(const Ruling& ruling, int64_t judged_through_index) {
  Progress progress;
  progress.role = Role::kMonitor;
  progress.member = "monitor";
  progress.wanted = 1;
  progress.judged_through_index = judged_through_index;
  progress.directive_version = ruling.directive_version;
  progress.updates_per_step = ruling.updates_per_step;
  progress.policy_pause = ruling.policy_pause;
  return progress;
}

}  // namespace

absl::StatusOr<Grant> Monitor::TellPace(absl::Duration wait) {
  const Ruling ruling = judge_->ruling();
  absl::StatusOr<Grant> grant = replay_->Advance(ProgressOf(ruling, judged_through_index_), wait);
  Complain(grant.status(), "the pace did not answer");
  judge_->OnPaceAnswer(ruling.directive_version, grant.status());
  told_at_ = clock_->Monotonic();
  return grant;
}

bool Monitor::GoesOn() {
  if (!stopping_ && clock_->Monotonic() - told_at_ >= options_.heartbeat) {
    TellPace(absl::ZeroDuration()).IgnoreError();
  }
  return !stopping_;
}

void Monitor::FollowPace() {
  while (!stopping_) {
    // Before the question: a grant that comes before the environment is known could not be used.
    const std::optional<EnvironmentSpec> spec = inbox_.spec();
    if (!spec.has_value()) {
      if (!Pause(kArrivalPoll)) return;
      continue;
    }
    const absl::StatusOr<Grant> grant = TellPace(kGrantWait);
    if (!grant.ok()) {
      if (!Pause(options_.interval)) return;
      continue;
    }
    if (grant->stop) return;  // what is left is judged as it comes
    if (grant->granted > 0) {
      JudgeThrough(*spec, *grant);
      judged_through_index_ = grant->through_index;
    }
    TakeEvaluations();
    CompareEvaluations(*spec);
    UpdateReport();
  }
}

void Monitor::JudgeThrough(const EnvironmentSpec& spec, const Grant& grant) {
  const absl::Duration until = clock_->Monotonic() + kArrivalWait;
  const auto waits = [&](bool there) {
    return !there && clock_->Monotonic() < until && GoesOn() && Pause(kArrivalPoll);
  };
  const auto has_model = [&] {
    PollModels(spec);
    return models_.newest() != nullptr &&
           models_.newest()->through_index >= grant.model_through_index;
  };
  while (waits(has_model() && inbox_.read_index() >= grant.through_index)) {
  }
  TakeSteps();
  // The newest policy is still the one of the last boundary, where the model was fitted.
  if (models_.newest() != nullptr && policies_.newest() != nullptr) {
    CountDropped(metrics_.dropped_no_model,
                 open_.Follow(*models_.newest(), *policies_.newest(), grant.through_index));
  }
  const auto has_policy = [&] {
    PollPolicies(spec);
    return policies_.newest() != nullptr &&
           static_cast<int64_t>(policies_.newest()->policy.policy_updates) >= grant.policy_updates;
  };
  while (waits(has_policy())) {
  }
  if (models_.newest() == nullptr || policies_.newest() == nullptr) return;
  if (!open_.begun()) {
    CountDropped(metrics_.dropped_no_model,
                 open_.Follow(*models_.newest(), *policies_.newest(), grant.through_index));
  }
  if (open_.size() < options_.least_steps) return;
  CloseCheckpoint(spec, grant.through_index, grant.env_steps);
}

}  // namespace tandem::monitor
