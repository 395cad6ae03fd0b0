#include "common/objective/joint_optimiser.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/objective/tabular_bound.h"

namespace tandem::objective {
namespace {

TabularDynamics InClass(const JointOptions& options, const TabularDynamics& dynamics) {
  return options.model_class ? options.model_class(dynamics) : dynamics;
}

/// The divergence that is paid, clipped.
StateActionTable Paid(const JointOptions& options, const TabularDynamics& model,
                      const TabularDynamics& real) {
  if (!options.classifier) return StateActionTable(model.states() * model.actions(), 0.0);
  StateActionTable divergence = Divergence(model, real);
  for (double& nats : divergence) nats = std::min(nats, options.divergence_clip);
  return divergence;
}

}  // namespace

const char* MethodName(Method method) {
  switch (method) {
    case Method::kQLearning:
      return "q_learning";
    case Method::kMnm:
      return "mnm";
    case Method::kVmbpo:
      return "vmbpo";
  }
  return "unknown";
}

StateActionTable MethodReward(Method method, const StateActionTable& rewards,
                              const StateActionTable& divergence, double discount) {
  if (method == Method::kQLearning) return rewards;
  StateActionTable out(rewards.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const double gain = method == Method::kMnm ? (1 - discount) * std::log(rewards[i]) : rewards[i];
    out[i] = gain - divergence[i];
  }
  return out;
}

JointResult OptimiseJointly(const TabularMdp& mdp, const JointOptions& options,
                            const JointObserver& observer) {
  const TabularDynamics& real = mdp.dynamics;
  const bool with_model = options.method != Method::kQLearning;
  const TabularDynamics support = InClass(options, real);
  JointResult result{UniformPolicy(real.states(), real.actions()), real, {}, false};
  for (int iteration = 0; iteration < options.max_iterations; ++iteration) {
    const StateActionTable rewards =
        MethodReward(options.method, mdp.rewards, Paid(options, result.model, real), mdp.discount);
    const StateActionTable q = EvaluatePolicy(result.model, result.policy, rewards, mdp.discount);
    TabularPolicy policy = GreedyPolicy(q, real.actions());
    const TabularDynamics model =
        with_model ? OptimalDynamics(support, StateValues(policy, q, real.states())) : real;
    result.changes.push_back(with_model ? MaxDifference(result.model, model)
                                        : MaxDifference(result.policy, policy));
    if (observer) observer(result.policy, result.model);
    if (result.changes.back() < options.tolerance) {
      result.converged = true;
      break;
    }
    result.policy = Mix(result.policy, policy, options.step);
    if (with_model) result.model = InClass(options, Mix(result.model, model, options.step));
  }
  return result;
}

}  // namespace tandem::objective
