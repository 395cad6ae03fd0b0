#include "services/replay_buffer/core/pace_desk.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/log.h"

namespace tandem {
namespace {

constexpr size_t kMaxMembers = 1024;
constexpr auto kAskAgainSoon = std::chrono::milliseconds(100);

const char* RoleName(Role role) {
  switch (role) {
    case Role::kActor:
      return "actor";
    case Role::kModelTrainer:
      return "model_trainer";
    case Role::kPolicyTrainer:
      return "policy_trainer";
    case Role::kMonitor:
      return "monitor";
  }
  return "unknown";
}

}  // namespace

PaceDesk::PaceDesk(const PaceOptions& options, const Patience& patience, const TrainingIndex& index,
                   ReplayMetrics& metrics)
    : patience_(patience), index_(index), metrics_(metrics), pace_(options) {
  ShowRate();
}

PaceAsk PaceDesk::ToAsk(const Progress& progress) const {
  PaceAsk ask;
  ask.role = progress.role;
  ask.member = progress.member;
  ask.wanted = progress.wanted;
  ask.policy_updates = progress.policy_updates;
  ask.held_policy_updates = progress.held_policy_updates;
  // A model of steps that this buffer does not know comes from before a restart: it counts as none.
  const auto steps = [this](int64_t through) {
    return through <= index_.end_index() ? index_.StepsBelow(through) : 0;
  };
  ask.model_steps = steps(progress.model_through_index);
  ask.fitted_steps = steps(progress.fitted_through_index);
  ask.judged_steps = steps(progress.judged_through_index);
  ask.directive_version = progress.directive_version;
  ask.updates_per_step = progress.updates_per_step;
  ask.policy_pause = progress.policy_pause;
  return ask;
}

Grant PaceDesk::ToGrant(const PaceGrant& from) const {
  Grant grant;
  grant.granted = from.granted;
  grant.through_index = index_.IndexFor(from.through_steps);
  grant.policy_updates = from.policy_updates;
  grant.model_through_index = index_.IndexFor(from.model_steps);
  grant.random_actions = from.random_actions;
  grant.evaluate = from.evaluate;
  grant.stop = from.stop;
  grant.waiting_for = from.empty() ? from.waiting_for : "";
  grant.env_steps = pace_.env_steps();
  grant.directive_version = from.directive_version;
  return grant;
}

void PaceDesk::ShowRate() {
  metrics_.updates_per_step.Set(pace_.schedule().running_rate());
  metrics_.policy_pause.Set(pace_.schedule().paused() ? 1 : 0);
}

void PaceDesk::HearMonitor(const PaceAsk& ask, Time now) {
  monitor_heard_ = now;
  if (!pace_.monitor_there() && pace_.MonitorIsPaced()) {
    LogInfo("the monitor is back: fits wait for its judgement again");
  }
  pace_.SetMonitorThere(true);
  const double rate = pace_.schedule().running_rate();
  const bool paused = pace_.schedule().paused();
  pace_.Report(ask);
  const UpdateSchedule& schedule = pace_.schedule();
  if (schedule.running_rate() == rate && schedule.paused() == paused) return;
  const std::string why = absl::StrCat(" as the monitor wants, directive ", ask.directive_version);
  if (schedule.running_rate() != rate) {
    LogInfo(absl::StrCat("updates_per_step: ", rate, " -> ", schedule.running_rate(), why));
  }
  if (schedule.paused() != paused) {
    LogInfo(absl::StrCat("policy_pause: ", paused ? "1 -> 0" : "0 -> 1", why));
  }
  ShowRate();
}

void PaceDesk::LookForMonitor(Time now) {
  for (const Waiting& waiting : waiting_) {
    if (waiting.progress.role == Role::kMonitor) monitor_heard_ = now;
  }
  if (monitor_heard_ && pace_.schedule().paused() &&
      now - *monitor_heard_ >= patience_.monitor_ttl) {
    pace_.EndPause();
    LogWarning("policy_pause: 1 -> 0: the monitor is silent");
    ShowRate();
  }
  if (!pace_.WantsJudgement() || !pace_.monitor_there()) return;
  if (!monitor_heard_ && !monitor_awaited_) monitor_awaited_ = now;
  if (now - monitor_heard_.value_or(monitor_awaited_.value_or(now)) < patience_.monitor_silence) {
    return;
  }
  pace_.SetMonitorThere(false);
  metrics_.monitor_lost.Increment();
  LogWarning("the monitor is silent: fits go on without its judgement until it is back");
}

void PaceDesk::Answer(Waiting waiting, Grant grant, Time now, Completions* out) {
  metrics_.wait(waiting.progress.role)
      .Increment(std::chrono::duration<double>(now - waiting.since).count());
  out->push_back([done = std::move(waiting.done), grant = std::move(grant)] { done(grant); });
}

void PaceDesk::Supersede(const Progress& progress, Time now, Completions* out) {
  const auto same = [&](const Waiting& w) {
    return w.progress.role == progress.role && w.progress.member == progress.member;
  };
  const auto it = std::find_if(waiting_.begin(), waiting_.end(), same);
  if (it == waiting_.end()) return;
  Waiting old = std::move(*it);
  waiting_.erase(it);
  Grant grant;
  grant.waiting_for = "nothing: a newer call took the place of this one";
  grant.env_steps = pace_.env_steps();
  Answer(std::move(old), std::move(grant), now, out);
}

void PaceDesk::Advance(Ticket ticket, const Progress& progress, Time now, Time deadline, Done done,
                       Completions* out) {
  if (reasons_.size() >= kMaxMembers && !reasons_.contains({progress.role, progress.member})) {
    const absl::Status full = absl::ResourceExhaustedError(
        absl::StrCat("advance of ", RoleName(progress.role), " ", progress.member,
                     ": expected at most ", kMaxMembers, " members in a run"));
    out->push_back([done = std::move(done), full] { done(full); });
    return;
  }
  Supersede(progress, now, out);
  Waiting waiting{ticket, progress, ToAsk(progress), now, deadline, std::move(done)};
  if (progress.role == Role::kMonitor) {
    HearMonitor(waiting.ask, now);
  } else {
    pace_.Report(waiting.ask);
  }
  if (progress.role == Role::kModelTrainer) model_through_index_ = progress.model_through_index;
  if (progress.role == Role::kActor) Heard(progress.member, now);
  waiting_.push_back(std::move(waiting));
  Reconsider(now, out);
}

void PaceDesk::Reconsider(Time now, Completions* out) {
  LookForMonitor(now);
  std::vector<Waiting> still;
  still.reserve(waiting_.size());
  for (Waiting& waiting : waiting_) {
    const PaceGrant answer = pace_.Grant(waiting.ask);
    const bool bound = waiting.progress.role != Role::kMonitor || pace_.MonitorIsPaced();
    reasons_[{waiting.progress.role, waiting.progress.member}] =
        answer.empty() && bound ? answer.waiting_for : "";
    Time deadline = waiting.deadline;
    if (answer.ask_again_soon) deadline = std::min(deadline, waiting.since + kAskAgainSoon);
    if (!answer.empty() || deadline <= now) {
      Answer(std::move(waiting), ToGrant(answer), now, out);
    } else {
      waiting.deadline = deadline;
      still.push_back(std::move(waiting));
    }
  }
  waiting_ = std::move(still);
}

bool PaceDesk::Cancel(Ticket ticket) {
  return std::erase_if(waiting_, [ticket](const Waiting& w) { return w.ticket == ticket; }) > 0;
}

void PaceDesk::FailAll(const absl::Status& status, Completions* out) {
  for (Waiting& waiting : waiting_) {
    out->push_back([done = std::move(waiting.done), status] { done(status); });
  }
  waiting_.clear();
}

PaceDesk::Time PaceDesk::NextDeadline() const {
  Time next = Time::max();
  for (const Waiting& waiting : waiting_) next = std::min(next, waiting.deadline);
  return next;
}

void PaceDesk::Heard(const std::string& actor, Time now) { heard_[actor] = now; }

void PaceDesk::ForgetSilent(Time now, std::chrono::steady_clock::duration timeout) {
  for (const Waiting& waiting : waiting_) {
    if (waiting.progress.role == Role::kActor) heard_[waiting.progress.member] = now;
  }
  for (auto it = heard_.begin(); it != heard_.end() && heard_.size() > 1;) {
    if (now - it->second < timeout) {
      ++it;
      continue;
    }
    pace_.Forget(it->first);
    reasons_.erase({Role::kActor, it->first});
    it = heard_.erase(it);
  }
}

std::map<std::string, std::string> PaceDesk::WaitingFor() const {
  std::map<std::string, std::string> by_role;
  for (const auto& [key, reason] : reasons_) {
    const auto [it, fresh] = by_role.emplace(RoleName(key.first), reason);
    if (reason.empty()) it->second.clear();
  }
  std::erase_if(by_role, [](const auto& entry) { return entry.second.empty(); });
  return by_role;
}

}  // namespace tandem
