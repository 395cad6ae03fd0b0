#pragma once

#include "common/objective/tabular_mdp.h"

namespace tandem::objective {

/// The joint objective for model and policy of "Mismatched No More" (MnM; Eysenbach, Khazatsky,
/// Levine and Salakhutdinov 2021, arXiv 2110.02758), computed exactly. docs/algorithms.md derives
/// the equations, whose numbers are used here. p is the real dynamics, q the model, pi the policy,
/// g the discount, J the real return; D(s, a) = KL( q(. | s, a) || p(. | s, a) ).
///
/// The bounds need positive rewards, and are -infinity where q, on a path that pi takes, goes where
/// p cannot. All functions are pure.

/// D(s, a) [nats] for every pair, [S, A]: what the log-ratio log(p / q) costs in expectation. A
/// trained classifier estimates it. +infinity where q leaves the support of p.
StateActionTable Divergence(const TabularDynamics& model, const TabularDynamics& real);

/// (1) in expectation over s' ~ q:  r~ = (1 - g) log r - weight * D - (1 - g) log(1 - g). [S, A]
/// weight: 1 as published; g is also a bound, and tighter (only transitions before t count at t).
StateActionTable AugmentedReward(const StateActionTable& rewards,
                                 const StateActionTable& divergence, double discount,
                                 double weight = 1);

/// (2) L(pi, q) = E_q^pi[ sum_t g^t r~ ] <= log J(pi): the return of the MDP with dynamics q and
/// reward (1).
double LowerBound(const TabularMdp& mdp, const TabularDynamics& model, const TabularPolicy& policy,
                  double weight = 1);

/// (3) with the best law of t for this pair (pi, q): log sum_t exp(l_t) <= log J(pi), where
///   l_t = E_q^pi[ - sum_{t' < t} D + log r_t ] + t log g.
/// Never below (2). The sum stops at g^t < 1e-12, which keeps it a bound.
double TightBound(const TabularMdp& mdp, const TabularDynamics& model, const TabularPolicy& policy);

/// (4) The model that is best for values V(s') [S]:  q(s' | s, a) = p(s' | s, a) exp(V(s')) / Z(s,
/// a). Where p is stochastic it is optimistic; where p is deterministic it is p.
/// Exactly best for the bound with weight g; with weight 1 that would be exp(g V(s')), since D then
/// counts in full where V(s') counts g. OptimiseJointly() pays weight 1 and takes this model all
/// the same: so the figures of the authors' notebook come out.
TabularDynamics OptimalDynamics(const TabularDynamics& real, std::span<const double> values);

/// (5) E_q^pi[ sum_t g^t (r - D) ], the objective of VMBPO (Chow, Cui, Ryu and Ghavamzadeh 2020,
/// arXiv 2006.05443): the same without logarithm on the reward. No bound on J: it overestimates.
double VmbpoObjective(const TabularMdp& mdp, const TabularDynamics& model,
                      const TabularPolicy& policy);

}  // namespace tandem::objective
