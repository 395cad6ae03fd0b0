#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/coadaptation/attribution.h"
#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/knob.h"
#include "common/coadaptation/recovery.h"
#include "common/coadaptation/verdict.h"

namespace tandem::coadaptation {

/// HEALTHY -> WARN (the verdict warns) -> ACT (it is confirmed) -> COOLDOWN (an action is having
/// its effect) -> RECOVER (clean again: knobs go back one step at a time) -> HEALTHY.
enum class ControllerState { kHealthy = 1, kWarn, kAct, kCooldown, kRecover };
const char* ControllerStateName(ControllerState state);

struct ControllerOptions {
  bool act = false;              ///< false: only advise.
  int max_actions_per_hour = 6;  ///< Over the last 3600 s.
  int dwell_refits = 1;          ///< Checkpoints between two actions.
  /// Clean checkpoints before one knob goes one step back; each relapse doubles it.
  int recover_refits = 5;
  int rollback_after = 3;  ///< Actions in a row without effect before a rollback.
  std::set<Knob> allowed;  ///< What may be turned; empty: all.
  // What the recipe says, from where knobs start.
  double horizon = 1;
  double real_share = 0.05;
  double pessimism = 0;
  double updates_per_step = 10;
  MitigationOptions mitigation;
};

/// One knob turned, or that would be turned.
struct Action {
  Knob knob = Knob::kRolloutHorizon;
  double before = 0;
  double after = 0;
  bool against = false;  ///< Against exploitation or a drift towards it; else a step back.
  std::string reason;    ///< The attribution, in words, with the figures behind it.
};

/// Everything that a Controller remembers; plain, so that it can be kept over a restart.
struct ControllerMemory {
  ControllerState state = ControllerState::kHealthy;
  std::map<Knob, Setting> settings;
  std::vector<Knob> turned;   ///< Knobs off the recipe's value by its own doing, oldest first.
  std::set<Knob> held;        ///< By hand.
  std::set<Knob> refused;     ///< Until healthy.
  std::map<Knob, int> tries;  ///< Since healthy.
  std::deque<double> action_times;  ///< Of what was tightened within the last hour [s].
  int cooldown = 0;                 ///< Checkpoints to go before the next action.
  int clean = 0;                    ///< Clean checkpoints in a row.
  int failed = 0;                   ///< Actions in a row without effect.
  /// What the newest action turned, while it is not known to have worked or failed.
  std::optional<Knob> pending;
  int warnings = 0;  ///< Warnings in a row.
  int paused = 0;    ///< Checkpoints since the policy was paused.
  /// Updates in the policy of the last clean checkpoint in which an episode ended.
  double healthy_updates = Checkpoint::kNaN;
  double healthy_return = Checkpoint::kNaN;  ///< What it returned, really.
  double newest_return = Checkpoint::kNaN;   ///< Real return of the last one that had any.
  std::string advised;                       ///< The newest advice, so as not to repeat it.
  Recovery recovery;                         ///< Whether the way back costs return.
};

/// Decides what to turn, from the verdict on each checkpoint. One knob a decision, but for a
/// rollback of the policy, which may come with the first of an alarm. The first knob to turn is the
/// real share, to 1 (or a refit, once, where the model missed one): a confirmed alarm says that
/// imagined steps do harm, and while the policy learns from real steps alone it is safe to look for
/// the cause. Such steps bear one update each: fewer are raised to that, for it is the policy that
/// then has to learn more from what it has. Then by attribution: of the candidates, those least
/// often tried since the run was healthy, and of these the first in the order of Attribute().
/// Multiplicative against exploitation, additive on recovery, so that imagined steps come back a
/// little at a time; never more than the limits allow. Where the model undersells the policy
/// nothing is tightened, and pessimism is halved, also below the recipe's, where it then stays:
/// going back would bring the fault back. The policy goes back to the last clean one, where that
/// one returned much more: with the first action of an alarm (what it knew it need not learn
/// again), else after rollback_after actions in a row without effect, or where nothing is left to
/// turn. An action has failed when the alarm is confirmed again, on evidence that began anew after
/// it. Where the real return falls while a knob goes back, that knob goes where it was at once, the
/// way back takes twice as long (Recovery), and where much is lost the policy goes back, too.
/// Warnings that stay ask for more varied data, as long as nothing else is turned.
///
/// Deterministic: the time is an argument. Not thread-safe.
class Controller {
 public:
  explicit Controller(const ControllerOptions& options) : options_(options) {}

  /// Takes the judgement of one checkpoint in and answers what changes: at most one action against
  /// exploitation (the first of an alarm may come with a rollback), or one step back. With
  /// options.act false the actions are advice: the settings stay, and the same advice comes once.
  /// `seconds`: on a clock that steps at a restart at most, or the hourly limit would step with it;
  /// actions that a restart puts into the future count as taken now.
  std::vector<Action> Decide(const Checkpoint& checkpoint, const Judgement& judgement,
                             double seconds);

  /// A knob held by hand: the controller leaves it alone until cleared. nullopt clears, and the
  /// knob has its recipe's value again.
  void Override(Knob knob, std::optional<double> value, const std::string& reason);
  /// The receiver of a knob refused its value: the knob has its recipe's value again, unless it is
  /// held by hand, and is not tried again before the state is healthy; a newest action that turned
  /// it has failed. A rollback is over then, also one by hand: nothing is left of it to be refused
  /// again.
  void Refused(Knob knob);

  ControllerState state() const { return memory_.state; }
  /// Knobs off the recipe's value, with reasons; versions are the caller's business.
  const std::map<Knob, Setting>& settings() const { return memory_.settings; }
  /// The value in force: the setting's or the recipe's.
  double ValueOf(Knob knob) const;
  /// What was decided last, and why, or why nothing was, as a sentence; empty where there is
  /// nothing to say.
  const std::string& note() const { return note_; }

  const ControllerMemory& memory() const { return memory_; }
  /// note: what it said last, or nothing.
  void Restore(const ControllerMemory& memory, const std::string& note = "") {
    memory_ = memory;
    note_ = note;
  }

 private:
  std::vector<Action> Against(const Checkpoint& checkpoint, double seconds);
  std::vector<Action> Ease();
  /// Puts one decision against exploitation into force.
  void Take(const std::vector<Action>& actions, double seconds);
  /// The knob on its way back goes where it was, for the return fell.
  std::vector<Action> Retreat(const Checkpoint& checkpoint, double seconds);
  std::optional<Action> Choose(const Checkpoint& checkpoint);
  /// With real_share at 1.
  std::optional<Action> RaiseUpdates() const;
  /// To the last clean policy; once in an alarm.
  std::optional<Action> RollBack(const Checkpoint& checkpoint, const char* why) const;
  /// To the policy from before the newest step back, if a knob is on its way.
  std::optional<Action> RollBackStep(const Checkpoint& checkpoint) const;
  /// To the policy of so many updates, where it returned much more than the newest.
  std::optional<Action> RollBackTo(double updates, double returned, double return_scale,
                                   const char* why) const;
  /// One step back of the knob turned last.
  std::vector<Action> Back(const Checkpoint& checkpoint);
  /// The knob to action.after; the recipe's value is no setting.
  void TurnBack(const Action& action);
  bool CanGoBack(Knob knob, const Checkpoint& checkpoint) const;
  std::vector<Action> Collect(const Checkpoint& checkpoint, double seconds);
  std::vector<Action> EndPause(const Checkpoint& checkpoint);
  std::vector<Action> Advise(Action action);
  bool Usable(Knob knob) const;
  bool OverLimit(double seconds);
  bool NothingTurned() const { return memory_.turned.empty(); }
  /// Nothing is turned, but for more varied data.
  bool OnlyCollects() const;
  double RecipeOf(Knob knob) const;
  void Set(Knob knob, double value, const std::string& reason);
  void Clear(Knob knob);
  void CountClean(const Checkpoint& checkpoint, const Judgement& judgement);
  void BecomeHealthy();

  ControllerOptions options_;
  ControllerMemory memory_;
  std::string note_;
};

}  // namespace tandem::coadaptation
