#include "common/objective/tabular_mdp.h"

#include <algorithm>
#include <cmath>

#include "common/base/log.h"

namespace tandem::objective {
namespace {

constexpr double kPrecision = 1e-12;
constexpr int kMaxSweeps = 1'000'000;

}  // namespace

TabularDynamics::TabularDynamics(int states, int actions)
    : states_(states), actions_(actions), rows_(states * actions) {}

void TabularDynamics::SetRow(int state, int action, std::span<const Branch> branches) {
  std::vector<Branch> sorted(branches.begin(), branches.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const Branch& a, const Branch& b) { return a.next < b.next; });
  std::vector<Branch> row;
  double sum = 0;
  for (const Branch& branch : sorted) {
    TANDEM_CHECK(branch.next >= 0 && branch.next < states_ && branch.probability >= 0);
    if (branch.probability == 0) continue;
    sum += branch.probability;
    if (!row.empty() && row.back().next == branch.next) {
      row.back().probability += branch.probability;
    } else {
      row.push_back(branch);
    }
  }
  TANDEM_CHECK(sum > 0);
  for (Branch& branch : row) branch.probability /= sum;
  rows_[state * actions_ + action] = std::move(row);
}

double TabularDynamics::Probability(int state, int action, int next) const {
  const auto row = Row(state, action);
  const auto at = std::lower_bound(row.begin(), row.end(), next,
                                   [](const Branch& branch, int n) { return branch.next < n; });
  return at != row.end() && at->next == next ? at->probability : 0;
}

TabularPolicy UniformPolicy(int states, int actions) {
  return TabularPolicy(states * actions, 1.0 / actions);
}

TabularPolicy GreedyPolicy(const StateActionTable& values, int actions) {
  TabularPolicy policy(values.size(), 0.0);
  for (size_t row = 0; row < values.size(); row += actions) {
    const auto begin = values.begin() + row;
    policy[std::max_element(begin, begin + actions) - values.begin()] = 1;
  }
  return policy;
}

StateActionTable Mix(const StateActionTable& a, const StateActionTable& b, double weight) {
  TANDEM_CHECK(a.size() == b.size());
  StateActionTable mixed(a.size());
  for (size_t i = 0; i < a.size(); ++i) mixed[i] = (1 - weight) * a[i] + weight * b[i];
  return mixed;
}

TabularDynamics Mix(const TabularDynamics& a, const TabularDynamics& b, double weight) {
  TabularDynamics mixed(a.states(), a.actions());
  for (int s = 0; s < a.states(); ++s) {
    for (int u = 0; u < a.actions(); ++u) {
      std::vector<Branch> row;
      for (const auto& [next, p] : a.Row(s, u)) row.push_back({next, (1 - weight) * p});
      for (const auto& [next, p] : b.Row(s, u)) row.push_back({next, weight * p});
      mixed.SetRow(s, u, row);
    }
  }
  return mixed;
}

double MaxDifference(const StateActionTable& a, const StateActionTable& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

double MaxDifference(const TabularDynamics& a, const TabularDynamics& b) {
  double largest = 0;
  for (int s = 0; s < a.states(); ++s) {
    for (int u = 0; u < a.actions(); ++u) {
      for (const auto& [next, p] : a.Row(s, u)) {
        largest = std::max(largest, std::abs(p - b.Probability(s, u, next)));
      }
      for (const auto& [next, p] : b.Row(s, u)) {
        largest = std::max(largest, std::abs(p - a.Probability(s, u, next)));
      }
    }
  }
  return largest;
}

StateActionTable EvaluatePolicy(const TabularDynamics& dynamics, const TabularPolicy& policy,
                                const StateActionTable& rewards, double discount) {
  const int states = dynamics.states(), actions = dynamics.actions();
  TANDEM_CHECK(static_cast<int>(policy.size()) == states * actions &&
               rewards.size() == policy.size());
  StateActionTable q(rewards.size(), 0.0);
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    const std::vector<double> values = StateValues(policy, q, states);
    double change = 0, largest = 0;
    for (int s = 0; s < states; ++s) {
      for (int u = 0; u < actions; ++u) {
        double next_value = 0;
        for (const auto& [next, p] : dynamics.Row(s, u)) next_value += p * values[next];
        const double updated = rewards[s * actions + u] + discount * next_value;
        change = std::max(change, std::abs(updated - q[s * actions + u]));
        largest = std::max(largest, std::abs(updated));
        q[s * actions + u] = updated;
      }
    }
    if (change <= kPrecision * largest) break;
  }
  return q;
}

std::vector<double> StateValues(const TabularPolicy& policy, const StateActionTable& q,
                                int states) {
  const size_t actions = policy.size() / states;
  std::vector<double> values(states, 0.0);
  for (size_t i = 0; i < policy.size(); ++i) {
    if (policy[i] > 0) values[i / actions] += policy[i] * q[i];
  }
  return values;
}

double Return(const TabularMdp& mdp, const TabularDynamics& dynamics, const TabularPolicy& policy,
              const StateActionTable& rewards) {
  const StateActionTable q = EvaluatePolicy(dynamics, policy, rewards, mdp.discount);
  return StateValues(policy, q, dynamics.states())[mdp.start];
}

int SampleAction(std::span<const double> row, double uniform) {
  size_t action = 0;
  while (action + 1 < row.size() && uniform >= row[action]) uniform -= row[action++];
  return static_cast<int>(action);
}

int SampleNext(std::span<const Branch> row, double uniform) {
  for (const auto& [next, p] : row) {
    if (uniform < p) return next;
    uniform -= p;
  }
  return row.back().next;
}

std::vector<double> StepDistribution(const TabularDynamics& dynamics, const TabularPolicy& policy,
                                     std::span<const double> states) {
  std::vector<double> after(dynamics.states(), 0.0);
  for (int s = 0; s < dynamics.states(); ++s) {
    for (int u = 0; u < dynamics.actions(); ++u) {
      const double weight = states[s] * policy[s * dynamics.actions() + u];
      if (weight == 0) continue;
      for (const auto& [next, p] : dynamics.Row(s, u)) after[next] += weight * p;
    }
  }
  return after;
}

double MeanEntropy(const TabularDynamics& dynamics, std::span<const int> states) {
  TANDEM_CHECK(!states.empty());
  double sum = 0;
  for (const int s : states) {
    for (int u = 0; u < dynamics.actions(); ++u) {
      for (const auto& [next, p] : dynamics.Row(s, u)) sum -= p * std::log(p);
    }
  }
  return sum / (static_cast<double>(states.size()) * dynamics.actions());
}

}  // namespace tandem::objective
