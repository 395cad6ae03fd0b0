#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/knob.h"
#include "common/coadaptation/verdict.h"

namespace tandem::coadaptation {

/// HEALTHY -> WARN (the verdict warns) -> ACT (it is confirmed) -> COOLDOWN (an action is having
/// its effect) -> RECOVER (clean again: knobs go back one step at a time) -> HEALTHY.
enum class ControllerState { kHealthy = 1, kWarn, kAct, kCooldown, kRecover };
const char* ControllerStateName(ControllerState state);

struct ControllerOptions {
  bool act = false;              ///< false: only advise.
  int max_actions_per_hour = 6;  ///< Wall clock, over the last 3600 s.
  int dwell_refits = 1;          ///< Checkpoints between two actions.
  int recover_refits = 5;        ///< Clean checkpoints before one knob goes one step back.
  int rollback_after = 3;        ///< Actions in a row without effect before a rollback.
  std::set<Knob> allowed;        ///< What may be turned; empty: all.
  // What the recipe says, from where knobs start.
  double horizon = 1;
  double real_share = 0.05;
  double pessimism = 0;
  double updates_per_step = 10;
};

/// One knob turned, or that would be turned.
struct Action {
  Knob knob = Knob::kRolloutHorizon;
  double before = 0;
  double after = 0;
  std::string reason;  ///< The attribution, in words, with the figures behind it.
};

/// Decides what to turn, from the verdict on each checkpoint. One knob a decision, chosen by
/// attribution in the order of docs/operations.md; multiplicative against exploitation, additive on
/// recovery; never more than the limits allow. Deterministic: the time is an argument.
/// Not thread-safe.
class Controller {
 public:
  explicit Controller(const ControllerOptions& options);

  /// Takes the judgement of one checkpoint in and answers what changes: at most one action against
  /// exploitation, or one step back. With options.act false the actions are advice: the settings
  /// stay.
  std::vector<Action> Decide(const Checkpoint& checkpoint, const Judgement& judgement,
                             double unix_seconds);

  /// A knob held by hand: the controller leaves it alone until cleared. nullopt clears.
  void Override(Knob knob, std::optional<double> value, const std::string& reason);
  /// The receiver of a knob refused it: it counts as a failed action, and is not tried again before
  /// the state is healthy.
  void Refused(Knob knob);

  ControllerState state() const { return state_; }
  /// Knobs off the recipe's value, with reasons; versions are the caller's business.
  const std::map<Knob, Setting>& settings() const { return settings_; }

 private:
  ControllerState state_ = ControllerState::kHealthy;
  ControllerOptions options_;
  std::map<Knob, Setting> settings_;
};

}  // namespace tandem::coadaptation
