#include "services/monitor/core/directive_desk.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tandem::monitor {
namespace {

using coadaptation::Directive;
using coadaptation::Receiver;
using coadaptation::Setting;

constexpr size_t kMaxName = 128;
constexpr size_t kMaxMembers = 1024;  // remembered, watching or not
constexpr Receiver kReceivers[] = {Receiver::kPolicyTrainer, Receiver::kModelTrainer,
                                   Receiver::kActor, Receiver::kReplayBuffer};

bool Same(const Setting& a, const Setting& b) {
  return a.knob == b.knob && a.value == b.value && a.safe_value == b.safe_value;
}

bool Same(const Directive& directive, const std::map<coadaptation::Knob, Setting>& settings) {
  return std::equal(directive.settings.begin(), directive.settings.end(), settings.begin(),
                    settings.end(),
                    [](const Setting& a, const auto& b) { return Same(a, b.second); });
}

/// The settings of one receiver.
std::vector<Setting> SettingsOf(const Directive& directive, Receiver receiver) {
  std::vector<Setting> settings;
  for (const Setting& setting : directive.settings) {
    if (InfoOf(setting.knob).receiver == receiver) settings.push_back(setting);
  }
  return settings;
}

bool Same(const std::vector<Setting>& a, const std::vector<Setting>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Setting& x, const Setting& y) { return Same(x, y); });
}

/// What the replay buffer goes by among the members.
std::pair<Receiver, std::string> ReplayBufferKey() {
  return {Receiver::kReplayBuffer, ReceiverName(Receiver::kReplayBuffer)};
}

}  // namespace

const char* AckOutcomeName(AckOutcome outcome) {
  switch (outcome) {
    case AckOutcome::kApplied:
      return "applied";
    case AckOutcome::kRefused:
      return "refused";
    case AckOutcome::kExpired:
      return "expired";
  }
  return "unknown";
}

const char* ReceiverName(Receiver receiver) {
  switch (receiver) {
    case Receiver::kPolicyTrainer:
      return "policy_trainer";
    case Receiver::kModelTrainer:
      return "model_trainer";
    case Receiver::kActor:
      return "actor";
    case Receiver::kReplayBuffer:
      return "replay_buffer";
  }
  return "unknown";
}

DirectiveDesk::DirectiveDesk(const DeskOptions& options, Clock* clock, metrics::Registry* registry)
    : options_(options),
      clock_(clock),
      apply_duration_(
          registry->AddHistogram("tandem_directive_apply_duration_seconds",
                                 "Time from a directive's arrival at a receiver to its effect.",
                                 {0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300})),
      watching_(
          registry->AddGauge("tandem_directive_watchers", "Receivers that watch directives.")) {
  for (const Receiver receiver : kReceivers) {
    unacknowledged_[receiver] = &registry->AddGauge(
        "tandem_directive_unacknowledged_seconds",
        "Longest time that a receiver has not acknowledged the directive in force; 0: all have.",
        {{"service", ReceiverName(receiver)}});
    unacknowledged_[receiver]->Set(0);
    for (const AckOutcome outcome :
         {AckOutcome::kApplied, AckOutcome::kRefused, AckOutcome::kExpired}) {
      acks_[{receiver, outcome}] = &registry->AddCounter(
          "tandem_directive_acks_total", "Directives acknowledged, by outcome.",
          {{"service", ReceiverName(receiver)}, {"outcome", AckOutcomeName(outcome)}});
    }
  }
  watching_.Set(0);
  MutexLock lock(mu_);
  members_[ReplayBufferKey()].watchers = 1;  // always: it is told whenever the pace is
}

int64_t DirectiveDesk::Publish(const std::map<coadaptation::Knob, Setting>& settings) {
  MutexLock lock(mu_);
  if (Same(directive_, settings)) return directive_.version;
  Directive next;
  next.version = std::max(absl::ToUnixMillis(clock_->Now()), directive_.version + 1);
  for (const auto& [knob, setting] : settings) {
    next.settings.push_back(setting);
    next.settings.back().version = next.version;
    for (const Setting& before : directive_.settings) {
      if (Same(before, setting)) next.settings.back().version = before.version;
    }
  }
  PutInForce(std::move(next));
  return directive_.version;
}

void DirectiveDesk::PutInForce(Directive directive) {
  published_at_ = clock_->Monotonic();
  if (!Same(SettingsOf(directive_, Receiver::kReplayBuffer),
            SettingsOf(directive, Receiver::kReplayBuffer))) {
    Member& buffer = members_[ReplayBufferKey()];
    buffer.sent_version = directive.version;
    buffer.sent_at = published_at_;
  }
  directive_ = std::move(directive);
  WakeAll(/*due_only=*/false);
}

void DirectiveDesk::Restore(const Directive& directive) {
  MutexLock lock(mu_);
  PutInForce(directive);
}

Directive DirectiveDesk::current() const {
  MutexLock lock(mu_);
  return directive_;
}

DirectiveDesk::Member& DirectiveDesk::MemberOf(Receiver receiver, const std::string& name) {
  const auto key = std::make_pair(receiver, name);
  if (members_.size() >= kMaxMembers && members_.count(key) == 0) {
    const auto idle = std::find_if(members_.begin(), members_.end(),
                                   [](const auto& entry) { return entry.second.watchers == 0; });
    if (idle != members_.end()) members_.erase(idle);
  }
  return members_[key];
}

absl::StatusOr<int64_t> DirectiveDesk::Watch(Receiver receiver, const std::string& member,
                                             std::function<void()> wake) {
  if (member.size() > kMaxName) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the member's name has ", member.size(), " characters; at most ", kMaxName, " are taken"));
  }
  MutexLock lock(mu_);
  if (watchers_.size() >= options_.max_watchers) {
    return absl::ResourceExhaustedError(
        absl::StrCat(options_.max_watchers, " receivers watch already; try again in 1000 ms"));
  }
  const int64_t id = next_watcher_++;
  watchers_[id] = {{receiver, member}, std::move(wake)};
  ++MemberOf(receiver, member).watchers;
  watching_.Set(static_cast<double>(watchers_.size()));
  return id;
}

void DirectiveDesk::Unwatch(int64_t watcher) {
  MutexLock lock(mu_);
  const auto it = watchers_.find(watcher);
  if (it == watchers_.end()) return;
  --members_[it->second.member].watchers;
  watchers_.erase(it);
  watching_.Set(static_cast<double>(watchers_.size()));
}

bool DirectiveDesk::RenewalDue(const Watcher& watcher) const {
  return watcher.sent_version != directive_.version ||
         clock_->Monotonic() - watcher.renewed_at >= options_.ttl / 3;
}

std::optional<Directive> DirectiveDesk::Next(int64_t watcher) {
  MutexLock lock(mu_);
  const auto it = watchers_.find(watcher);
  if (it == watchers_.end() || !RenewalDue(it->second)) return std::nullopt;
  const absl::Duration now = clock_->Monotonic();
  it->second.sent_version = directive_.version;
  it->second.renewed_at = now;
  Member& member = members_[it->second.member];
  if (member.sent_version != directive_.version) {
    member.sent_version = directive_.version;
    member.sent_at = now;
  }
  return directive_;
}

absl::Status DirectiveDesk::Acknowledge(const Acknowledgement& ack) {
  MutexLock lock(mu_);
  if (ack.member.size() > kMaxName) {
    return absl::InvalidArgumentError("the member's name is longer than 128 characters");
  }
  if (ack.version < 1 || ack.version > directive_.version) {
    return absl::InvalidArgumentError(absl::StrCat(
        "version ", ack.version, " was never published; the newest is ", directive_.version));
  }
  const auto counter = acks_.find({ack.receiver, ack.outcome});
  if (counter == acks_.end()) {
    return absl::InvalidArgumentError("expected one of the receivers, and an outcome");
  }
  Member& member = MemberOf(ack.receiver, ack.member);
  member.acknowledged = std::max(member.acknowledged, ack.version);
  counter->second->Increment();
  if (ack.outcome == AckOutcome::kApplied) apply_duration_.Observe(ack.apply_seconds);
  return absl::OkStatus();
}

bool DirectiveDesk::ReplayBufferOwes(int64_t version) const {
  MutexLock lock(mu_);
  const Member& buffer = members_.at(ReplayBufferKey());
  return buffer.acknowledged < buffer.sent_version && buffer.sent_version <= version;
}

void DirectiveDesk::WakeAll(bool due_only) {
  for (auto& [id, watcher] : watchers_) {
    if (!due_only || RenewalDue(watcher)) watcher.wake();
  }
}

void DirectiveDesk::CheckMember(const std::pair<Receiver, std::string>& key, Member& member,
                                std::vector<Overdue>* overdue,
                                std::map<Receiver, double>* waiting) {
  if (member.watchers == 0 || member.sent_version == 0 ||
      member.acknowledged >= member.sent_version) {
    return;
  }
  const absl::Duration since = clock_->Monotonic() - member.sent_at;
  double& longest = (*waiting)[key.first];
  longest = std::max(longest, absl::ToDoubleSeconds(since));
  if (since < options_.grace || member.reported == member.sent_version) return;
  member.reported = member.sent_version;
  overdue->push_back({key.first, key.second, member.sent_version, absl::ToDoubleSeconds(since)});
}

std::vector<Overdue> DirectiveDesk::Tick() {
  MutexLock lock(mu_);
  WakeAll(/*due_only=*/true);
  std::vector<Overdue> overdue;
  std::map<Receiver, double> waiting;
  std::map<Receiver, int> present;
  for (auto& [key, member] : members_) {
    present[key.first] += member.watchers;
    CheckMember(key, member, &overdue, &waiting);
  }
  for (const Receiver receiver : kReceivers) {
    if (present[receiver] == 0 && !SettingsOf(directive_, receiver).empty()) {
      const absl::Duration since = clock_->Monotonic() - published_at_;
      waiting[receiver] = absl::ToDoubleSeconds(since);
      if (since >= options_.grace && absent_reported_[receiver] != directive_.version) {
        absent_reported_[receiver] = directive_.version;
        overdue.push_back({receiver, "", directive_.version, waiting[receiver]});
      }
    }
    unacknowledged_[receiver]->Set(waiting[receiver]);
  }
  return overdue;
}

}  // namespace tandem::monitor
