#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "services/monitor/core/episode_log.h"
#include "services/monitor/core/snapshot_history.h"

namespace tandem::monitor {

struct ComparerOptions {
  int rollouts = 20;             ///< Most model rollouts from each start state, >= 1.
  int64_t step_budget = 40'000;  ///< Model steps in one comparison, all rollouts together.
  double updates_tolerance = 0;  ///< How far the policies' numbers of updates may differ [updates].
};

/// Mean returns from the same start states over the same horizon.
struct ReturnComparison {
  double model_return = 0;
  double real_return = 0;
};

/// Plays the policy that made some real episodes in the model, from the same start states and with
/// the same kind of actions (deterministic in evaluations). All rollouts run as one batch.
///
/// A comparison is bounded by its budget of model steps: where start states * rollouts * horizon is
/// more, first the rollouts from each start state are cut, then the start states. The horizon is
/// never cut, for the real return over another horizon is not known: episodes longer than the
/// budget are not compared at all.
class ReturnComparer {
 public:
  ReturnComparer(const ComparerOptions& options, uint64_t seed) : options_(options), rng_(seed) {}

  /// Why a group of episodes is not compared.
  enum class Outcome { kCompared, kPolicyGone, kPolicyNotYet, kTooLong };

  /// Blocks for the whole computation. nullopt where `outcome` says why not: the policy that played
  /// is held no longer, or not yet, within updates_tolerance; or the episodes are too long.
  absl::StatusOr<std::optional<ReturnComparison>> Compare(
      const RealReturns& real, int64_t max_episode_steps, const HeldModel& model,
      const PolicyHistory& policies, const std::function<bool()>& cancelled, Outcome* outcome);

 private:
  const ComparerOptions options_;
  Rng rng_;
};

}  // namespace tandem::monitor
