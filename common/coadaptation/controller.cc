#include "common/coadaptation/controller.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tandem::coadaptation {
namespace {

constexpr double kHour = 3600;  // [s]
constexpr char kNothingElse[] = "nothing else had an effect: back to the last clean policy";
constexpr char kWayBack[] = "much was lost on the way back: to the policy from before it";
constexpr char kMuchIsLost[] = "much is lost already: back to the last clean policy";

void Erase(std::vector<Knob>& knobs, Knob knob) {
  knobs.erase(std::remove(knobs.begin(), knobs.end(), knob), knobs.end());
}

void Append(std::optional<Action> action, std::vector<Action>& actions) {
  if (action) actions.push_back(*std::move(action));
}

std::string Describe(const Action& action) {
  return absl::StrFormat("%s %g to %g: %s", KnobName(action.knob), action.before, action.after,
                         action.reason);
}

}  // namespace

const char* ControllerStateName(ControllerState state) {
  static constexpr const char* kNames[] = {"healthy", "warn", "act", "cooldown", "recover"};
  return kNames[static_cast<size_t>(state) - 1];
}

std::vector<Action> Controller::Decide(const Checkpoint& checkpoint, const Judgement& judgement,
                                       double seconds) {
  note_.clear();
  if (std::isfinite(checkpoint.real_return)) memory_.newest_return = checkpoint.real_return;
  std::vector<Action> resumed = EndPause(checkpoint);
  const bool cooling = memory_.cooldown > 0;
  if (cooling) --memory_.cooldown;
  if (!resumed.empty()) return resumed;
  if (judgement.verdict == Verdict::kWarmingUp || judgement.verdict == Verdict::kVoid ||
      judgement.verdict == Verdict::kStale) {
    return {};
  }
  memory_.recovery.Take(checkpoint, options_.recover_refits, options_.mitigation);
  CountClean(checkpoint, judgement);
  memory_.warnings = judgement.verdict == Verdict::kWarning ? memory_.warnings + 1 : 0;
  if (judgement.verdict == Verdict::kExploiting) {
    memory_.state = cooling ? ControllerState::kCooldown : ControllerState::kAct;
    if (cooling) {
      note_ = "Waiting for the newest action to have its effect.";
      return {};
    }
    return Against(checkpoint, seconds);
  }
  if (judgement.verdict == Verdict::kPessimistic) {
    return cooling ? std::vector<Action>() : Ease();
  }
  if (options_.act && memory_.recovery.Relapsed(options_.mitigation)) {
    return Retreat(checkpoint, seconds);
  }
  if (memory_.clean > 0 && memory_.clean % memory_.recovery.Wait(options_.recover_refits) == 0) {
    std::vector<Action> back = Back(checkpoint);
    if (!back.empty()) return back;
    if (NothingTurned()) BecomeHealthy();
  }
  if (!OnlyCollects() || !memory_.tries.empty()) return {};
  if (judgement.verdict == Verdict::kWarning) {
    memory_.state = ControllerState::kWarn;
    return cooling ? std::vector<Action>() : Collect(checkpoint, seconds);
  }
  if (NothingTurned()) memory_.state = ControllerState::kHealthy;
  return {};
}

void Controller::CountClean(const Checkpoint& checkpoint, const Judgement& judgement) {
  if (judgement.verdict == Verdict::kExploiting || !judgement.clean) {
    memory_.clean = 0;
    return;
  }
  ++memory_.clean;
  // Where no episode ended nothing is known of how good the policy is.
  if (std::isfinite(checkpoint.real_return)) {
    memory_.healthy_updates = checkpoint.policy_updates;
    memory_.healthy_return = checkpoint.real_return;
  }
  if (!NothingTurned() || !memory_.tries.empty()) memory_.state = ControllerState::kRecover;
  if (memory_.clean < options_.recover_refits) return;
  memory_.failed = 0;
  memory_.pending.reset();
}

void Controller::BecomeHealthy() {
  memory_.state = ControllerState::kHealthy;
  memory_.tries.clear();
  memory_.refused.clear();
  memory_.advised.clear();
  memory_.failed = 0;
  memory_.pending.reset();
  memory_.recovery = {};
}

std::vector<Action> Controller::Against(const Checkpoint& checkpoint, double seconds) {
  if (memory_.pending) ++memory_.failed;
  memory_.pending.reset();
  if (OverLimit(seconds)) return {};
  const bool first = memory_.tries.empty();
  std::optional<Action> action;
  if (memory_.failed >= options_.rollback_after) action = RollBack(checkpoint, kNothingElse);
  if (!action) action = Choose(checkpoint);
  if (!action) action = RollBack(checkpoint, kNothingElse);
  if (!action) {
    note_ = "Every knob that may be turned is at its limit: a human has to look at this run.";
    return {};
  }
  if (!options_.act) return Advise(*std::move(action));
  std::vector<Action> actions = {*std::move(action)};
  if (actions[0].knob == Knob::kRealShare) Append(RaiseUpdates(), actions);
  if (actions[0].knob != Knob::kRollback) {
    Append(first ? RollBack(checkpoint, kMuchIsLost) : RollBackStep(checkpoint), actions);
  }
  Take(actions, seconds);
  for (const Action& turned : actions) ++memory_.tries[turned.knob];
  memory_.pending = actions[0].knob;
  return actions;
}

void Controller::Take(const std::vector<Action>& actions, double seconds) {
  note_.clear();
  for (const Action& turned : actions) {
    Set(turned.knob, turned.after, turned.reason);
    memory_.recovery.Tightened(turned.knob, turned.after);
    if (turned.knob == Knob::kPolicyPause) memory_.paused = 0;
    absl::StrAppend(&note_, note_.empty() ? "" : " ", "Turned ", Describe(turned), ".");
  }
  memory_.action_times.push_back(seconds);
  memory_.cooldown = options_.dwell_refits;
}

std::vector<Action> Controller::Advise(Action action) {
  const std::string advice = absl::StrCat(KnobName(action.knob), " ", action.after);
  note_ = absl::StrCat("Would turn ", Describe(action), ".");
  if (memory_.advised == advice) return {};
  memory_.advised = advice;
  return {std::move(action)};
}

std::optional<Action> Controller::Choose(const Checkpoint& checkpoint) {
  std::vector<Candidate> candidates = Attribute(checkpoint, options_.mitigation);
  const auto tries = [&](Knob knob) {
    if (knob == Knob::kRealShare) return 0;  // however often
    const auto it = memory_.tries.find(knob);
    return it == memory_.tries.end() ? 0 : it->second;
  };
  const bool real_alone = ValueOf(Knob::kRealShare) >= 1;
  std::stable_sort(
      candidates.begin(), candidates.end(),
      [&](const Candidate& a, const Candidate& b) { return tries(a.knob) < tries(b.knob); });
  const int refits = tries(Knob::kRefit);
  for (const Candidate& candidate : candidates) {
    const Knob knob = candidate.knob;
    if (!Usable(knob)) continue;
    // Learning from real steps is the way out: nothing that slows it down.
    if (real_alone && (knob == Knob::kUpdatesPerStep || knob == Knob::kPolicyPause)) continue;
    if (knob == Knob::kRefit && refits >= options_.mitigation.refits_most) continue;
    if (knob == Knob::kMemberReset &&
        ((Usable(Knob::kRefit) && refits < options_.mitigation.refits_most) ||
         tries(knob) >= options_.mitigation.resets_most)) {
      continue;
    }
    const double before = ValueOf(knob);
    const std::optional<double> after =
        Tighten(knob, before, RecipeOf(knob), checkpoint, options_.mitigation);
    if (after) return Action{knob, before, *after, true, candidate.reason};
  }
  return std::nullopt;
}

std::optional<Action> Controller::RaiseUpdates() const {
  const double before = ValueOf(Knob::kUpdatesPerStep);
  const double after = options_.mitigation.updates_of_real;
  if (!Usable(Knob::kUpdatesPerStep) || before >= after) return std::nullopt;
  return Action{Knob::kUpdatesPerStep, before, after, true,
                "there are fewer steps to learn from now, and real ones bear as many updates"};
}

std::optional<Action> Controller::RollBack(const Checkpoint& checkpoint, const char* why) const {
  if (memory_.tries.count(Knob::kRollback) > 0) return std::nullopt;
  return RollBackTo(memory_.healthy_updates, memory_.healthy_return, checkpoint.return_scale, why);
}

std::optional<Action> Controller::RollBackStep(const Checkpoint& checkpoint) const {
  const Recovery& recovery = memory_.recovery;
  return RollBackTo(recovery.updates, recovery.returned, checkpoint.return_scale, kWayBack);
}

std::optional<Action> Controller::RollBackTo(double updates, double returned, double return_scale,
                                             const char* why) const {
  const double lost = returned - memory_.newest_return;
  if (!Usable(Knob::kRollback) || !std::isfinite(updates) ||
      !(lost > options_.mitigation.return_lost * return_scale)) {
    return std::nullopt;
  }
  return Action{Knob::kRollback, ValueOf(Knob::kRollback), updates, true,
                absl::StrFormat("%s, of %.0f updates, which returned %.4g where it is %.4g now; a "
                                "human should look at this run",
                                why, updates, returned, memory_.newest_return)};
}

std::vector<Action> Controller::Ease() {
  const double before = ValueOf(Knob::kPessimism);
  const std::optional<double> after = HalvePessimism(before, options_.mitigation);
  if (!after) {
    note_ =
        "The model undersells the policy, and no pessimism is in force that could be less: a "
        "human has to look at this run.";
    return {};
  }
  if (!Usable(Knob::kPessimism)) {
    note_ = absl::StrFormat(
        "The model undersells the policy, and pessimism, which is %g, is not to be turned.",
        before);
    return {};
  }
  Action action = {Knob::kPessimism, before, *after, false, "the model undersells the policy"};
  if (!options_.act) return Advise(std::move(action));
  TurnBack(action);
  memory_.recovery.Forget(Knob::kPessimism);  // Less is for good.
  memory_.cooldown = options_.dwell_refits;
  return {std::move(action)};
}

std::vector<Action> Controller::Retreat(const Checkpoint& checkpoint, double seconds) {
  if (OverLimit(seconds)) return {};
  const Recovery recovery = memory_.recovery;
  const Knob knob = *recovery.eased;
  Action action = {knob, ValueOf(knob), recovery.tight.at(knob), true,
                   absl::StrFormat("the real return, which was %.4g before it went back, is %.4g: "
                                   "there is no way back yet",
                                   recovery.reference, memory_.newest_return)};
  memory_.clean = 0;
  std::vector<Action> actions = {std::move(action)};
  if (knob == Knob::kRealShare) Append(RaiseUpdates(), actions);
  Append(RollBackStep(checkpoint), actions);
  Take(actions, seconds);
  return actions;
}

bool Controller::CanGoBack(Knob knob, const Checkpoint& checkpoint) const {
  const MitigationOptions& options = options_.mitigation;
  if (memory_.held.count(knob) > 0) return false;
  // Clamped rewards would come back at once, and so would what called for more varied data.
  if (knob == Knob::kRewardClamp) return !(checkpoint.reward_range >= options.reward_range_low);
  const bool warns = memory_.warnings > 0 && !WhyCollect(checkpoint, options).empty();
  return knob != Knob::kDataCollection || !warns;
}

std::vector<Action> Controller::Back(const Checkpoint& checkpoint) {
  for (size_t i = memory_.turned.size(); i-- > 0;) {
    const Knob knob = memory_.turned[i];
    if (!CanGoBack(knob, checkpoint)) continue;
    const double before = ValueOf(knob);
    const std::optional<double> next = Relax(knob, before, RecipeOf(knob), options_.mitigation);
    Action action = {knob, before, next.value_or(RecipeOf(knob)), false,
                     "clean again: one step back"};
    TurnBack(action);
    memory_.recovery.Eased(knob, checkpoint.policy_updates);
    return {std::move(action)};
  }
  return {};
}

void Controller::TurnBack(const Action& action) {
  if (action.after == RecipeOf(action.knob)) {
    Clear(action.knob);
  } else {
    Set(action.knob, action.after, action.reason);
  }
  note_ = absl::StrCat("Turned ", Describe(action), ".");
}

std::vector<Action> Controller::Collect(const Checkpoint& checkpoint, double seconds) {
  const std::string why = WhyCollect(checkpoint, options_.mitigation);
  if (why.empty() || memory_.warnings < options_.mitigation.warnings_before_collection ||
      !Usable(Knob::kDataCollection)) {
    return {};
  }
  const double before = ValueOf(Knob::kDataCollection);
  const std::optional<double> after =
      Tighten(Knob::kDataCollection, before, 0, checkpoint, options_.mitigation);
  if (!after || OverLimit(seconds)) return {};
  Action action = {Knob::kDataCollection, before, *after, true, why};
  if (!options_.act) return Advise(std::move(action));
  Set(action.knob, action.after, action.reason);
  memory_.action_times.push_back(seconds);
  memory_.cooldown = options_.dwell_refits;
  note_ = absl::StrCat("Turned ", Describe(action), ".");
  return {std::move(action)};
}

std::vector<Action> Controller::EndPause(const Checkpoint& checkpoint) {
  const auto it = memory_.settings.find(Knob::kPolicyPause);
  if (it == memory_.settings.end() || memory_.held.count(Knob::kPolicyPause) > 0) return {};
  ++memory_.paused;
  const bool agreed = checkpoint.improvement_agreement > options_.mitigation.agreement_high;
  if (!agreed && memory_.paused < options_.mitigation.pause_most) return {};
  Action action = {Knob::kPolicyPause, it->second.value, 0, false,
                   agreed ? "the members of the model agree again that the policy improves"
                          : "only updates can change the policy"};
  Clear(Knob::kPolicyPause);
  note_ = absl::StrCat("Turned ", Describe(action), ".");
  return {std::move(action)};
}

bool Controller::Usable(Knob knob) const {
  const bool allowed = options_.allowed.empty() || options_.allowed.count(knob) > 0;
  return allowed && memory_.held.count(knob) == 0 && memory_.refused.count(knob) == 0;
}

bool Controller::OverLimit(double seconds) {
  std::deque<double>& times = memory_.action_times;
  for (double& time : times) time = std::min(time, seconds);
  while (!times.empty() && times.front() <= seconds - kHour) times.pop_front();
  if (static_cast<int>(times.size()) < options_.max_actions_per_hour) return false;
  note_ = absl::StrFormat("Waiting: %d actions in the last hour are the limit.",
                          options_.max_actions_per_hour);
  return true;
}

bool Controller::OnlyCollects() const {
  return std::all_of(memory_.turned.begin(), memory_.turned.end(),
                     [](Knob knob) { return knob == Knob::kDataCollection; });
}

double Controller::RecipeOf(Knob knob) const {
  switch (knob) {
    case Knob::kRolloutHorizon:
      return options_.horizon;
    case Knob::kRealShare:
      return options_.real_share;
    case Knob::kPessimism:
      return options_.pessimism;
    case Knob::kUpdatesPerStep:
      return options_.updates_per_step;
    default:
      return 0;
  }
}

double Controller::ValueOf(Knob knob) const {
  const auto it = memory_.settings.find(knob);
  return it == memory_.settings.end() ? RecipeOf(knob) : it->second.value;
}

void Controller::Set(Knob knob, double value, const std::string& reason) {
  memory_.settings[knob] = {knob, value, SafeValue(knob, value), reason, 0};
  Erase(memory_.turned, knob);
  // Pessimism is less than the recipe's because that was too much: there is no way back from it.
  const bool eased = knob == Knob::kPessimism && value <= RecipeOf(knob);
  if (!IsCount(knob) && !eased) memory_.turned.push_back(knob);
}

void Controller::Clear(Knob knob) {
  memory_.settings.erase(knob);
  Erase(memory_.turned, knob);
}

void Controller::Override(Knob knob, std::optional<double> value, const std::string& reason) {
  memory_.recovery.Forget(knob);
  if (!value) {
    memory_.held.erase(knob);
    if (!IsCount(knob)) Clear(knob);
    return;
  }
  Set(knob, *value, reason);
  Erase(memory_.turned, knob);
  memory_.held.insert(knob);
}

void Controller::Refused(Knob knob) {
  memory_.refused.insert(knob);
  memory_.recovery.Forget(knob);
  if (knob == Knob::kRollback) memory_.held.erase(knob);
  if (memory_.held.count(knob) > 0) return;
  if (!IsCount(knob) || knob == Knob::kRollback) Clear(knob);
  if (memory_.pending != knob) return;
  ++memory_.failed;
  memory_.pending.reset();
}

}  // namespace tandem::coadaptation
