#include "services/replay_buffer/core/pace.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem {
namespace {

constexpr char kPaused[] = "the monitor to end its pause of the policy";

std::string MoreSteps(int64_t n) {
  return absl::StrCat(n, n == 1 ? " more environment step" : " more environment steps");
}

std::string ModelOf(int64_t steps) {
  return absl::StrCat("the model of ", steps, " environment steps");
}

}  // namespace

absl::Status Validate(const PaceOptions& o) {
  const auto at_least = [](const char* field, int64_t value, int64_t low) {
    return value >= low ? absl::OkStatus()
                        : absl::InvalidArgumentError(
                              absl::StrCat(field, ": expected at least ", low, ", got ", value));
  };
  for (const absl::Status& status :
       {at_least("pace.warmup_steps", o.warmup_steps, 1),
        at_least("pace.refit_interval", o.refit_interval, 1),
        at_least("pace.steps_per_round", o.steps_per_round, 1),
        at_least("pace.band_steps", o.band_steps, 1),
        at_least("pace.max_model_lag", o.max_model_lag, 0),
        at_least("pace.max_policy_lag", o.max_policy_lag, 0),
        at_least("policy.publish_interval", o.publish_interval, 1),
        at_least("actor.num_envs", o.num_envs, 1),
        at_least("actor.evaluation_interval", o.evaluation_interval, 0),
        at_least("stop.max_env_steps", o.max_env_steps, 1),
        at_least("stop.evaluations_in_a_row", o.evaluations_in_a_row, 1)}) {
    if (!status.ok()) return status;
  }
  if (o.evaluations_in_a_row > kMaxEvaluations) {
    return absl::InvalidArgumentError(absl::StrCat("stop.evaluations_in_a_row: expected at most ",
                                                   kMaxEvaluations, ", got ",
                                                   o.evaluations_in_a_row));
  }
  if (!(o.updates_per_step > 0) || !std::isfinite(o.updates_per_step)) {
    return absl::InvalidArgumentError(
        absl::StrCat("pace.updates_per_step: expected > 0, got ", o.updates_per_step));
  }
  return absl::OkStatus();
}

PacePolicy::PacePolicy(const PaceOptions& options)
    : options_(options),
      schedule_(options.warmup_steps,
                options.mode == PaceMode::kLockstep ? options.steps_per_round : 1,
                options.updates_per_step) {}

int64_t PacePolicy::DueModel(int64_t steps) const {
  if (steps < options_.warmup_steps) return 0;
  return std::max(options_.warmup_steps, steps / options_.refit_interval * options_.refit_interval);
}

int64_t PacePolicy::DueJudgement(int64_t steps) const {
  const int64_t refit = DueModel(steps);
  return refit > options_.warmup_steps ? refit : 0;
}

bool PacePolicy::WantsJudgement() const {
  return MonitorIsPaced() && !stopped() && fitted_steps_ < DueModel(settled_) &&
         judged_steps_ < DueJudgement(settled_);
}

int64_t PacePolicy::ModelInUse() const {
  return fitted_steps_ > model_steps_ ? model_steps_ : DueModel(settled_);
}

int64_t PacePolicy::DueEvaluation(int64_t steps) const {
  const int64_t interval = options_.evaluation_interval;
  if (interval == 0 || steps < options_.warmup_steps) return 0;
  const int64_t passed = steps / interval * interval;
  return passed >= options_.warmup_steps && passed > last_evaluated_ ? passed : 0;
}

void PacePolicy::Report(const PaceAsk& ask) {
  switch (ask.role) {
    case Role::kActor:
      actors_.insert(ask.member);
      reserved_.erase(ask.member);
      break;
    case Role::kModelTrainer:
      model_steps_ = ask.model_steps;
      fitted_steps_ = std::max(ask.fitted_steps, ask.model_steps);
      break;
    case Role::kMonitor:
      judged_steps_ = ask.judged_steps;
      directive_version_ = ask.directive_version;
      schedule_.Set(ask.updates_per_step, ask.policy_pause, now());
      break;
    case Role::kPolicyTrainer:
      policy_trainer_known_ = true;
      updates_ = ask.policy_updates;
      break;
  }
  Settle();
}

PaceGrant PacePolicy::Grant(const PaceAsk& ask) {
  PaceGrant grant;
  if (stopped()) {
    grant.stop = true;
    grant.through_steps = stored_;
    return grant;
  }
  switch (ask.role) {
    case Role::kMonitor:
      return Monitor();
    case Role::kModelTrainer:
      grant = ModelTrainer();
      break;
    case Role::kPolicyTrainer:
      grant = PolicyTrainer(ask);
      break;
    case Role::kActor:
      grant = options_.mode == PaceMode::kLockstep ? ActorLockstep(ask) : ActorAsync(ask);
      grant.through_steps = stored_;
      if (grant.granted > 0) reserved_[ask.member] = grant.granted;
      break;
  }
  if (MonitorIsPaced() && monitor_there_) grant.directive_version = directive_version_;
  return grant;
}

int64_t PacePolicy::Batches(int64_t room, int64_t wanted) const {
  const int64_t batch = std::min(options_.num_envs, wanted);
  const int64_t steps = std::max(batch, std::min(room, wanted));
  return steps - steps % batch;
}

int64_t PacePolicy::ReservedByOthers(const std::string& member) const {
  int64_t sum = 0;
  for (const auto& [name, steps] : reserved_) {
    if (name != member) sum += steps;
  }
  return sum;
}

int64_t PacePolicy::LockstepBoundary() const {
  const int64_t warmup = options_.warmup_steps;
  if (settled_ < warmup) return std::min(warmup, options_.max_env_steps);
  const int64_t round = options_.steps_per_round;
  int64_t boundary = warmup + ((settled_ - warmup) / round + 1) * round;
  const auto next_multiple = [this](int64_t of) { return (settled_ / of + 1) * of; };
  boundary = std::min(boundary, next_multiple(options_.refit_interval));
  if (options_.evaluation_interval > 0) {
    boundary = std::min(boundary, next_multiple(options_.evaluation_interval));
  }
  return std::min(boundary, options_.max_env_steps);
}

std::string PacePolicy::TrainersBehind() const {
  const int64_t due_model = DueModel(settled_);
  if (fitted_steps_ < due_model) return ModelOf(due_model);
  if (settled_ >= options_.warmup_steps && !policy_trainer_known_) return "the policy trainer";
  const int64_t missing = DueUpdates(settled_) - updates_;
  if (missing > 0) return absl::StrCat(missing, " more policy update", missing == 1 ? "" : "s");
  return "";
}

void PacePolicy::GiveEvaluation(const PaceAsk& ask, int64_t id, PaceGrant* grant) {
  pending_ = PendingEvaluation{id, ask.member};
  partial_.erase({static_cast<uint64_t>(id), ask.member});
  grant->evaluate = true;
}

PaceGrant PacePolicy::ActorLockstep(const PaceAsk& ask) {
  PaceGrant grant;
  grant.waiting_for = TrainersBehind();
  if (!grant.waiting_for.empty()) return grant;
  if (const int64_t due = DueEvaluation(settled_); due > 0) {
    const std::string evaluator = pending_ ? pending_->member : *actors_.begin();
    if (ask.member != evaluator) {
      grant.waiting_for =
          absl::StrCat("the evaluation at ", due, " environment steps by ", evaluator);
      return grant;
    }
    GiveEvaluation(ask, due, &grant);
    grant.policy_updates = std::max(DueUpdates(settled_), updates_);
    return grant;
  }
  if (ask.wanted <= 0) {
    grant.waiting_for = "a wish for at least 1 environment step";
    return grant;
  }
  const int64_t room = LockstepBoundary() - stored_ - ReservedByOthers(ask.member);
  if (room <= 0) {
    grant.waiting_for = "environment steps of other actors";
    return grant;
  }
  grant.granted = Batches(room, ask.wanted);
  grant.random_actions = settled_ < options_.warmup_steps;
  // A trainer that kept more updates than are due (the buffer was restarted) has no older policy.
  if (!grant.random_actions) grant.policy_updates = std::max(DueUpdates(settled_), updates_);
  grant.model_steps = ModelInUse();
  return grant;
}

PaceGrant PacePolicy::ActorAsync(const PaceAsk& ask) {
  PaceGrant grant;
  grant.model_steps = model_steps_;
  if (const int64_t due = DueEvaluation(stored_); due > 0) {
    const bool mine = pending_ ? pending_->member == ask.member : *actors_.begin() == ask.member;
    if (mine) GiveEvaluation(ask, due, &grant);
  }
  const int64_t taken = stored_ + ReservedByOthers(ask.member);
  const int64_t warmup = options_.warmup_steps;
  grant.random_actions = stored_ < warmup;
  int64_t limit = std::min(warmup, options_.max_env_steps);
  if (!grant.random_actions) {
    // A bound below the interval at which the model or the policy moves would stop the run.
    const int64_t band =
        options_.band_steps + schedule_.StepsFor(updates_).value_or(options_.max_env_steps);
    limit = std::min(options_.max_env_steps, band + 1);
    if (options_.max_model_lag > 0) {
      const int64_t lag = std::max(options_.max_model_lag, options_.refit_interval);
      limit = std::min(limit, std::max(fitted_steps_, int64_t{0}) + lag + 1);
      if (taken >= limit && limit <= band) grant.waiting_for = "a model of newer steps";
    }
    const int64_t lag = std::max(options_.max_policy_lag, options_.publish_interval);
    if (options_.max_policy_lag > 0 && updates_ - ask.held_policy_updates > lag) {
      grant.waiting_for = "this actor to load a newer policy";
      grant.ask_again_soon = true;
      return grant;
    }
  }
  if (taken < limit && ask.wanted > 0) {
    grant.granted = Batches(limit - taken, ask.wanted);
    return grant;
  }
  if (!grant.waiting_for.empty()) return grant;
  if (ask.wanted <= 0) {
    grant.waiting_for = "a wish for at least 1 environment step";
  } else if (grant.random_actions || taken > stored_) {
    grant.waiting_for = "environment steps of other actors";
  } else if (stored_ >= options_.max_env_steps) {
    grant.waiting_for = "the last evaluation";
  } else {
    grant.waiting_for = "more policy updates";
  }
  return grant;
}

PaceGrant PacePolicy::ModelTrainer() const {
  PaceGrant grant;
  const int64_t warmup = options_.warmup_steps;
  const int64_t interval = options_.refit_interval;
  const bool lockstep = options_.mode == PaceMode::kLockstep;
  const int64_t now = this->now();
  const int64_t next = lockstep ? (now < warmup ? warmup : (now / interval + 1) * interval)
                                : (model_steps_ == 0 ? warmup : fitted_steps_ + interval);
  const bool due = lockstep ? fitted_steps_ < DueModel(now) : now >= next;
  grant.through_steps = lockstep ? DueModel(now) : now;
  grant.model_steps = model_steps_;
  if (!due) {
    grant.waiting_for = MoreSteps(std::max<int64_t>(1, next - stored_));
  } else if (monitor_there_ && WantsJudgement()) {
    grant.waiting_for =
        absl::StrCat("the monitor's judgement of ", DueJudgement(now), " environment steps");
  } else {
    grant.granted = 1;
    if (lockstep) grant.policy_updates = updates_;  // all that precede the fit are done
  }
  return grant;
}

PaceGrant PacePolicy::Monitor() const {
  PaceGrant grant;
  grant.model_steps = model_steps_;
  if (WantsJudgement()) {
    grant.granted = 1;
    grant.through_steps = DueJudgement(settled_);
    grant.policy_updates = updates_;
    return grant;
  }
  grant.through_steps = stored_;
  if (MonitorIsPaced()) {
    const int64_t interval = options_.refit_interval;
    int64_t next = (settled_ / interval + 1) * interval;
    while (next <= options_.warmup_steps) next += interval;
    grant.waiting_for = MoreSteps(std::max<int64_t>(1, next - stored_));
  } else {
    grant.waiting_for = "nothing: the monitor is not paced";
  }
  return grant;
}

PaceGrant PacePolicy::PolicyTrainer(const PaceAsk& ask) const {
  PaceGrant grant = options_.mode == PaceMode::kLockstep ? PolicyLockstep(ask) : PolicyAsync(ask);
  if (grant.granted > 0 || !grant.waiting_for.empty()) return grant;
  grant.waiting_for = "a wish for at least 1 update";
  return grant;
}

PaceGrant PacePolicy::PolicyLockstep(const PaceAsk& ask) const {
  PaceGrant grant;
  grant.through_steps = settled_;
  grant.model_steps = ModelInUse();
  const int64_t due = DueUpdates(settled_);
  if (updates_ < due) {
    if (fitted_steps_ < DueModel(settled_)) {
      grant.waiting_for = ModelOf(DueModel(settled_));
    } else {
      grant.granted = std::clamp<int64_t>(ask.wanted, 0, due - updates_);
    }
    return grant;
  }
  const std::optional<int64_t> next = schedule_.StepsBeyond(updates_);
  grant.waiting_for = next ? MoreSteps(std::max<int64_t>(1, *next - stored_)) : kPaused;
  return grant;
}

PaceGrant PacePolicy::PolicyAsync(const PaceAsk& ask) const {
  PaceGrant grant;
  grant.through_steps = stored_;
  grant.model_steps = model_steps_;
  if (model_steps_ == 0) {
    grant.waiting_for = "the first model";
    return grant;
  }
  const int64_t most = schedule_.Most(stored_, options_.band_steps);
  if (updates_ < most) {
    grant.granted = std::clamp<int64_t>(ask.wanted, 0, most - updates_);
    return grant;
  }
  if (schedule_.paused()) {
    grant.waiting_for = kPaused;
    return grant;
  }
  const double ahead = static_cast<double>(updates_ + 1 - most) / schedule_.rate();
  grant.waiting_for = MoreSteps(std::max<int64_t>(1, static_cast<int64_t>(std::ceil(ahead))));
  return grant;
}

void PacePolicy::StepsStored(const std::string& member, int64_t steps) {
  stored_ += steps;
  if (const auto it = reserved_.find(member); it != reserved_.end()) {
    it->second -= steps;
    if (it->second <= 0) reserved_.erase(it);
  }
  Settle();
}

void PacePolicy::Settle() {
  if (reserved_.empty()) settled_ = stored_;
  CheckStop();
}

void PacePolicy::CheckStop() {
  if (!stopped() && now() >= options_.max_env_steps && DueEvaluation(now()) == 0) {
    stop_reason_ = "environment steps done";
  }
}

void PacePolicy::Release(const std::string& member) {
  reserved_.erase(member);
  if (pending_ && pending_->member == member) pending_.reset();
  Settle();
}

void PacePolicy::Forget(const std::string& member) {
  actors_.erase(member);
  Release(member);
}

}  // namespace tandem
