#pragma once

namespace tandem::objective {

/// How a reward is made positive, as the bound needs it.
enum class RewardTransform {
  kShift,     ///< r + shift: what lies far above 0 is flattened by the logarithm.
  kExp,       ///< exp(r / scale): the logarithm gives r / scale back, and nothing is flattened.
  kSoftplus,  ///< log(1 + exp(r / scale)): as kExp far below 0, as kShift far above.
};

/// r+, the positive reward that equation (1) of docs/algorithms.md takes the logarithm of, in units
/// of what a terminal state counts as paying for ever. Works on logarithms, so that no finite
/// reward overflows: softplus of -1000 has the logarithm -1000. Plain data.
struct PositiveReward {
  RewardTransform transform = RewardTransform::kShift;
  double shift = 0;            ///< kShift alone. In reward units.
  double scale = 1;            ///< All others, > 0. In reward units.
  double min_reward = 0.001;   ///< Least r+: what is below it counts as it. 0: there is none.
  double terminal_reward = 1;  ///< > 0

  /// log(max(r+, min_reward) / terminal_reward).
  double Log(double reward) const;
};

}  // namespace tandem::objective
