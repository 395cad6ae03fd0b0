#pragma once

#include <span>

namespace tandem::coadaptation {

/// What follows one state and action: the outcome that happened, or one that the model drew.
struct Outcome {
  double reward = 0;
  double termination =
      0;  ///< Probability that the episode ended in a terminal state; 0 or 1 if known.
  double next_value = 0;  ///< V of the next state.
};

/// Signed error of the model's backup of one real transition, in parts that add up to the whole:
///   b = [ r^ + g (1 - d^) V(s^') ] - [ r + g (1 - d) V(s') ]
///     =   (r^ - r)                              reward
///       + g (1 - d) (V(s^') - V(s'))            dynamics
///       + g (d - d^) V(s^')                     termination
/// where r, s', d happened, r^, s^', d^ are the model's, and g is the discount. Positive: the model
/// promises more than the world gave.
///
/// For any V, E[b + c] / (1 - g) = E V(s0) - return, with c the Bellman residual below and the
/// expectation over the discounted occupancy of the policy; and where V is the policy's value in
/// the model, E[c] = 0 and E[b] / (1 - g) is the model's return minus the real one (the simulation
/// lemma before norms are taken).
struct BackupBias {
  double reward = 0;
  double dynamics = 0;
  double termination = 0;
  double total() const { return reward + dynamics + termination; }
};

/// The bias for one transition: the mean over the model's outcomes, at least one. Pure.
BackupBias ComputeBackupBias(const Outcome& real, std::span<const Outcome> model, double discount);

/// In-model Bellman residual c = V(s) - [ r^ + g (1 - d^) V(s^') ], the mean over the model's
/// outcomes, at least one: how far the critic is from fitting the model. Pure.
double BellmanResidual(double value, std::span<const Outcome> model, double discount);

/// Index of co-adaptation: mean_bias / ((1 - discount) * return_scale), that is the imagined return
/// beyond the real one in units of the return scale. NaN unless every figure is known, the discount
/// below 1 and the scale positive. Pure.
double CoadaptationIndex(double mean_bias, double discount, double return_scale);

}  // namespace tandem::coadaptation
