#include "common/objective/random_mdp.h"

#include <cmath>

namespace tandem::objective::testing {

std::vector<double> RandomDistribution(int length, Rng& rng) {
  std::vector<double> weights(length);
  double sum = 0;
  for (double& weight : weights) sum += weight = -std::log(1 - rng.Uniform());
  for (double& weight : weights) weight /= sum;
  return weights;
}

TabularPolicy RandomPolicy(int states, int actions, Rng& rng) {
  TabularPolicy policy;
  for (int s = 0; s < states; ++s) {
    const std::vector<double> row = RandomDistribution(actions, rng);
    policy.insert(policy.end(), row.begin(), row.end());
  }
  return policy;
}

TabularDynamics RandomDynamics(int states, int actions, Rng& rng) {
  TabularDynamics dynamics(states, actions);
  for (int s = 0; s < states; ++s) {
    for (int u = 0; u < actions; ++u) {
      std::vector<Branch> row;
      for (const double p : RandomDistribution(states, rng)) {
        row.push_back({static_cast<int>(row.size()), p});
      }
      dynamics.SetRow(s, u, row);
    }
  }
  return dynamics;
}

TabularMdp RandomMdp(int states, int actions, Rng& rng) {
  TabularMdp mdp{RandomDynamics(states, actions, rng), StateActionTable(states * actions), 0, 0};
  mdp.discount = rng.Uniform(0.1, 0.95);
  for (double& reward : mdp.rewards) reward = std::exp(2 * rng.Normal());
  return mdp;
}

}  // namespace tandem::objective::testing
