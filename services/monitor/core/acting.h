#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/rng.h"
#include "common/data/batch.h"
#include "common/dynamics/imagination.h"
#include "services/monitor/core/snapshot_history.h"

namespace tandem::monitor {

/// Who acted in a real stretch of steps, so that the same can act in the model: where updates are
/// spread over the steps, the policy improves while it plays, and a later one would earn more in
/// any model.
struct Turn {
  int64_t first_t = 0;               ///< Step within the stretch.
  const HeldPolicy* held = nullptr;  ///< Acts from there on; of the history.
};
using Turns = std::vector<Turn>;  ///< In order, the first from step 0 on.

/// The held policy with the nearest number of updates, where it is within `tolerance` [updates] of
/// them; else, and for a number that is not known, nullptr. distance [updates]: set, where it is
/// given and there is a nearest, to how far that one is ahead of them.
const HeldPolicy* FindActing(const PolicyHistory& policies, double updates, double tolerance,
                             double* distance = nullptr);

/// Who acted at each row, as FindActing.
std::vector<const HeldPolicy*> ActingAtRows(const TransitionBatch& rows,
                                            const PolicyHistory& policies, double tolerance);

/// The turns of consecutive rows; acting: of each of them, none is null. Pure.
Turns TurnsOf(std::span<const HeldPolicy* const> acting);

/// Acts in imagined rollouts as it was acted in reality; `turns` has an entry for each start state
/// and outlives what is returned, as the noise does. Beyond a stretch its last policy goes on.
/// noise: null for deterministic actions.
dynamics::ActAtFunction ActByTurns(std::span<const Turns> turns, Rng* noise);

}  // namespace tandem::monitor
