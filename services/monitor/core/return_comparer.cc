#include "services/monitor/core/return_comparer.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "common/base/status_macros.h"
#include "common/dynamics/imagination.h"

namespace tandem::monitor {
namespace {

double Mean(std::span<const double> values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

absl::StatusOr<std::optional<ReturnComparison>> ReturnComparer::Compare(
    const RealReturns& real, int64_t max_episode_steps, const HeldModel& model,
    const PolicyHistory& policies, const std::function<bool()>& cancelled, Outcome* outcome) {
  const HeldPolicy* held = policies.Nearest(real.policy_updates);
  const double distance =
      held == nullptr ? 0 : static_cast<double>(held->policy.policy_updates) - real.policy_updates;
  if (held == nullptr || std::abs(distance) > options_.updates_tolerance) {
    *outcome = distance > 0 ? Outcome::kPolicyGone : Outcome::kPolicyNotYet;
    return std::nullopt;
  }
  const int64_t horizon = max_episode_steps > 0 ? max_episode_steps : real.longest;
  if (horizon > options_.step_budget) {
    *outcome = Outcome::kTooLong;
    return std::nullopt;
  }
  const int64_t affordable = options_.step_budget / horizon;
  const int64_t starts = std::min<int64_t>(static_cast<int64_t>(real.returns.size()), affordable);
  const int rollouts =
      static_cast<int>(std::clamp<int64_t>(affordable / starts, 1, options_.rollouts));

  policy::Policy& policy = *held->policy.policy;
  Rng* const noise = real.evaluation ? nullptr : &rng_;
  const dynamics::ActFunction act = [&policy, noise](std::span<const float> observations,
                                                     std::span<float> actions) {
    return policy.Act(observations, noise, actions, {});
  };
  std::vector<double> returns(starts);
  TANDEM_RETURN_IF_ERROR(dynamics::ImaginedReturns(
      *model.model, act, std::span<const float>(real.start_states).first(starts * real.obs_dim),
      rollouts, horizon, rng_, cancelled, returns));
  *outcome = Outcome::kCompared;
  return ReturnComparison{.model_return = Mean(returns),
                          .real_return = Mean(std::span<const double>(real.returns).first(starts))};
}

}  // namespace tandem::monitor
