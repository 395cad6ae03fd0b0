#include "common/objective/tabular_q_learning.h"

#include <algorithm>
#include <map>

#include "common/base/rng.h"
#include "common/objective/tabular_bound.h"

namespace tandem::objective {
namespace {

/// All samples of a pair (s, a), as far as step 3 needs them.
struct PairSums {
  double reward = 0;
  int64_t count = 0;
  std::map<int, int64_t> next;
};

class Learner {
 public:
  Learner(const TabularMdp& mdp, const SampledOptions& options, uint64_t seed)
      : mdp_(mdp),
        options_(options),
        rng_(seed, "tabular_q_learning"),
        q_(mdp.rewards.size(), 0.0),
        policy_(UniformPolicy(mdp.dynamics.states(), mdp.dynamics.actions())),
        sums_(q_.size()) {}

  void Iterate() {
    const int actions = mdp_.dynamics.actions();
    const std::vector<double> values =
        StateValues(GreedyPolicy(q_, actions), q_, mdp_.dynamics.states());
    const TabularDynamics model = options_.method == Method::kQLearning
                                      ? mdp_.dynamics
                                      : OptimalDynamics(mdp_.dynamics, values);
    Collect(model, MethodReward(options_.method, mdp_.rewards, Divergence(model, mdp_.dynamics),
                                mdp_.discount));
    Learn(values);
    policy_ = Mix(GreedyPolicy(q_, actions), UniformPolicy(mdp_.dynamics.states(), actions),
                  options_.exploration);
  }

  double GreedyReturn() const {
    return Return(mdp_, mdp_.dynamics, GreedyPolicy(q_, mdp_.dynamics.actions()), mdp_.rewards);
  }

 private:
  void Collect(const TabularDynamics& model, const StateActionTable& rewards) {
    const int actions = model.actions();
    int state = mdp_.start;
    for (int t = 0; t < options_.episode_steps; ++t) {
      const int action = SampleAction(
          std::span<const double>(policy_).subspan(state * actions, actions), rng_.Uniform());
      const int next = SampleNext(model.Row(state, action), rng_.Uniform());
      PairSums& sums = sums_[state * actions + action];
      sums.reward += rewards[state * actions + action];
      ++sums.count;
      ++sums.next[next];
      state = next;
    }
  }

  void Learn(const std::vector<double>& values) {
    const double rate = options_.learning_rate / options_.episode_steps;
    for (size_t i = 0; i < q_.size(); ++i) {
      const PairSums& sums = sums_[i];
      double target = sums.reward;
      for (const auto& [next, count] : sums.next) target += mdp_.discount * count * values[next];
      q_[i] += rate * (target - sums.count * q_[i]);
    }
  }

  const TabularMdp& mdp_;
  const SampledOptions& options_;
  Rng rng_;
  StateActionTable q_;
  TabularPolicy policy_;
  std::vector<PairSums> sums_;  // [S * A]
};

}  // namespace

std::vector<double> LearnFromSamples(const TabularMdp& mdp, const SampledOptions& options,
                                     uint64_t seed) {
  Learner learner(mdp, options, seed);
  std::vector<double> returns;
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    learner.Iterate();
    if (iteration % options.evaluate_every == 0) returns.push_back(learner.GreedyReturn());
  }
  return returns;
}

}  // namespace tandem::objective
