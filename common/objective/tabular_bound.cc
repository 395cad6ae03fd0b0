#include "common/objective/tabular_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/log_sum_exp.h"

namespace tandem::objective {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kTail = 1e-12;

/// E[table(s, a)] with s ~ states and a ~ policy. Pairs without weight do not count, so that an
/// infinite entry that is never met does no harm.
double Expectation(const StateActionTable& table, const TabularPolicy& policy,
                   std::span<const double> states) {
  const size_t actions = policy.size() / states.size();
  double sum = 0;
  for (size_t i = 0; i < table.size(); ++i) {
    const double weight = states[i / actions] * policy[i];
    if (weight > 0) sum += weight * table[i];
  }
  return sum;
}

/// The discounted sum of `rewards` from the start, step by step, so that states that are never met
/// do not count: an infinite penalty there would spoil an iteration over all states.
double ReturnFromStart(const TabularMdp& mdp, const TabularDynamics& dynamics,
                       const TabularPolicy& policy, const StateActionTable& rewards) {
  for (const double reward : rewards) {
    if (std::isfinite(reward)) continue;
    std::vector<double> states(dynamics.states(), 0.0);
    states[mdp.start] = 1;
    double sum = 0;
    for (double weight = 1; weight >= kTail; weight *= mdp.discount) {
      sum += weight * Expectation(rewards, policy, states);
      states = StepDistribution(dynamics, policy, states);
      if (mdp.discount == 0) break;
    }
    return sum;
  }
  return Return(mdp, dynamics, policy, rewards);
}

}  // namespace

StateActionTable Divergence(const TabularDynamics& model, const TabularDynamics& real) {
  StateActionTable divergence(model.states() * model.actions(), 0.0);
  for (int s = 0; s < model.states(); ++s) {
    for (int u = 0; u < model.actions(); ++u) {
      double sum = 0;
      for (const auto& [next, q] : model.Row(s, u)) {
        const double p = real.Probability(s, u, next);
        sum += p > 0 ? q * std::log(q / p) : kInfinity;
      }
      divergence[s * model.actions() + u] = std::max(0.0, sum);
    }
  }
  return divergence;
}

StateActionTable AugmentedReward(const StateActionTable& rewards,
                                 const StateActionTable& divergence, double discount,
                                 double weight) {
  const double constant = (1 - discount) * std::log(1 - discount);
  StateActionTable augmented(rewards.size());
  for (size_t i = 0; i < rewards.size(); ++i) {
    const double cost = divergence[i] > 0 ? weight * divergence[i] : 0;
    augmented[i] = (1 - discount) * std::log(rewards[i]) - cost - constant;
  }
  return augmented;
}

double LowerBound(const TabularMdp& mdp, const TabularDynamics& model, const TabularPolicy& policy,
                  double weight) {
  const StateActionTable rewards =
      AugmentedReward(mdp.rewards, Divergence(model, mdp.dynamics), mdp.discount, weight);
  return ReturnFromStart(mdp, model, policy, rewards);
}

double TightBound(const TabularMdp& mdp, const TabularDynamics& model,
                  const TabularPolicy& policy) {
  StateActionTable log_rewards(mdp.rewards.size());
  std::transform(mdp.rewards.begin(), mdp.rewards.end(), log_rewards.begin(),
                 [](double reward) { return std::log(reward); });
  const StateActionTable divergence = Divergence(model, mdp.dynamics);
  std::vector<double> states(model.states(), 0.0), terms;
  states[mdp.start] = 1;
  double cost = 0;  // of the transitions before t
  for (int t = 0; t == 0 || std::pow(mdp.discount, t) >= kTail; ++t) {
    const double log_weight = t == 0 ? 0 : t * std::log(mdp.discount);
    terms.push_back(Expectation(log_rewards, policy, states) + log_weight - cost);
    cost += Expectation(divergence, policy, states);
    states = StepDistribution(model, policy, states);
  }
  return LogSumExp(terms);
}

TabularDynamics OptimalDynamics(const TabularDynamics& real, std::span<const double> values) {
  TabularDynamics model(real.states(), real.actions());
  for (int s = 0; s < real.states(); ++s) {
    for (int u = 0; u < real.actions(); ++u) {
      double best = -kInfinity;  // taken off every value: exp() must not overflow
      for (const auto& [next, p] : real.Row(s, u)) best = std::max(best, values[next]);
      std::vector<Branch> row;
      for (const auto& [next, p] : real.Row(s, u)) {
        row.push_back({next, p * std::exp(values[next] - best)});
      }
      model.SetRow(s, u, row);
    }
  }
  return model;
}

double VmbpoObjective(const TabularMdp& mdp, const TabularDynamics& model,
                      const TabularPolicy& policy) {
  const StateActionTable divergence = Divergence(model, mdp.dynamics);
  StateActionTable rewards(mdp.rewards.size());
  std::transform(mdp.rewards.begin(), mdp.rewards.end(), divergence.begin(), rewards.begin(),
                 [](double reward, double cost) { return reward - cost; });
  return ReturnFromStart(mdp, model, policy, rewards);
}

}  // namespace tandem::objective
