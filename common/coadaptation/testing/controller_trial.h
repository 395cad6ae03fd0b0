#pragma once

#include <optional>
#include <vector>

#include "common/coadaptation/controller.h"

/// What tests of the controller feed it.
namespace tandem::coadaptation::testing_support {

inline ControllerOptions Acting() {
  ControllerOptions options;
  options.act = true;
  options.max_actions_per_hour = 1000;
  options.recover_refits = 2;
  options.horizon = 8;
  return options;
}

inline Judgement Judged(Verdict verdict, bool clean) {
  Judgement judgement;
  judgement.verdict = verdict;
  judgement.clean = clean;
  return judgement;
}
inline Judgement Exploiting() { return Judged(Verdict::kExploiting, /*clean=*/false); }
inline Judgement Clean() { return Judged(Verdict::kHealthy, /*clean=*/true); }
inline Judgement Warning(bool clean = false) { return Judged(Verdict::kWarning, clean); }
inline Judgement Pessimistic() { return Judged(Verdict::kPessimistic, /*clean=*/true); }

/// A controller fed a checkpoint a minute.
class Trial {
 public:
  explicit Trial(const ControllerOptions& options) : controller(options) {}

  std::vector<Action> Next(const Judgement& judgement, const Checkpoint& checkpoint = {}) {
    seconds += 60;
    return controller.Decide(checkpoint, judgement, seconds);
  }
  /// Alarms until an action comes, at most ten.
  std::optional<Action> NextAction(const Checkpoint& checkpoint = {}) {
    for (int i = 0; i < 10; ++i) {
      const std::vector<Action> actions = Next(Exploiting(), checkpoint);
      if (!actions.empty()) return actions[0];
    }
    return std::nullopt;
  }

  Controller controller;
  double seconds = 1000;
};

}  // namespace tandem::coadaptation::testing_support
