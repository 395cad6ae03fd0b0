#pragma once

#include <cstdint>
#include <vector>

#include "common/objective/joint_optimiser.h"
#include "common/objective/tabular_mdp.h"

namespace tandem::objective {

struct SampledOptions {
  Method method = Method::kMnm;
  int iterations = 1501;
  int episode_steps = 200;  ///< Steps collected in each iteration, from the start state [steps].
  double learning_rate = 1e-2;  ///< Of each sample, over episode_steps.
  double exploration = 0.5;     ///< Probability of a uniform action while collecting.
  int evaluate_every = 20;      ///< [iterations]
};

/// Tabular Q-learning from samples, on the reward of the method. In each iteration:
///   1. V = max_a Q; the model is (4) for V (kQLearning: the real dynamics);
///   2. one episode in that model by the policy of the last iteration (at first uniform), paid with
///      the method's reward;
///   3. for every sample ever collected  Q(s, a) += lr / episode_steps * (r + g V(s') - Q(s, a)),
///   all
///      from the Q of before;
///   4. the policy becomes greedy on Q but for `exploration`.
/// Returns, for the iterations 0, evaluate_every, 2 * evaluate_every, ..., the exact return of the
/// greedy policy in the real dynamics with the real reward. Deterministic for a seed; samples are
/// kept as sums, so an iteration costs the same whatever came before it.
std::vector<double> LearnFromSamples(const TabularMdp& mdp, const SampledOptions& options,
                                     uint64_t seed);

}  // namespace tandem::objective
