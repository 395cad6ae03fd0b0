#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "common/objective/tabular_mdp.h"

namespace tandem::objective {

/// What policy and model are trained on. Equation numbers: tabular_bound.h and docs/algorithms.md.
enum class Method {
  kQLearning,  ///< Reward r in the real dynamics; there is no model.
  kMnm,        ///< The lower bound (2): logarithm of the reward minus the divergence.
  kVmbpo,      ///< (5): the reward itself minus the divergence.
};
const char* MethodName(Method method);

/// Reward of the method for each pair; `divergence` is not used by kQLearning. For kMnm it is (1)
/// without its constant, which changes neither the best policy nor the best model; it would change
/// how optimistic values are that start at 0 (tabular_q_learning.h).
StateActionTable MethodReward(Method method, const StateActionTable& rewards,
                              const StateActionTable& divergence, double discount);

struct JointOptions {
  Method method = Method::kMnm;
  /// false: the divergence is not paid, that is, MnM without its classifier.
  bool classifier = true;
  /// Largest divergence of one transition [nats]. A classifier with smoothed labels or a clipped
  /// logit cannot say more. Must be finite where model_class leaves the support of the real
  /// dynamics.
  double divergence_clip = std::numeric_limits<double>::infinity();
  /// The nearest dynamics that the model class can express, such as TieWithinBlocks. Empty: all.
  std::function<TabularDynamics(const TabularDynamics&)> model_class;
  /// Share of the best response in each step of either player, in (0, 1]. Two players that jump to
  /// their best response may circle for ever.
  double step = 0.5;
  int max_iterations = 100;
  /// Stop when the best response of the model (of the policy, for kQLearning) differs from what
  /// there is by less in every probability. 0: never.
  double tolerance = 1e-6;
};

struct JointResult {
  TabularPolicy policy;         ///< The smoothed one; its limit is greedy.
  TabularDynamics model;        ///< For kQLearning the real dynamics.
  std::vector<double> changes;  ///< Distance to the best response, in each iteration.
  bool converged = false;       ///< At iteration changes.size() - 1, counted from 0.
};

/// Called in each iteration with the pair as it is before its step.
using JointObserver = std::function<void(const TabularPolicy&, const TabularDynamics& model)>;

/// Improves policy and model on one objective by exact dynamic programming, from the uniform policy
/// and the real dynamics:
///   1. evaluate the policy in the model on the method's reward (1);
///   2. the greedy policy of these values, and with its values the model (4), put into model_class;
///   3. move both a step towards these best responses.
/// Pure and deterministic.
JointResult OptimiseJointly(const TabularMdp& mdp, const JointOptions& options,
                            const JointObserver& observer = {});

}  // namespace tandem::objective
