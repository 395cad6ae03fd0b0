#pragma once

#include <span>
#include <vector>

namespace tandem::objective {

/// Finite Markov decision processes and what can be computed about them exactly: the ground on
/// which objectives for model and policy are checked (tabular_bound.h, joint_optimiser.h). All
/// functions here are pure. Sizes must match and rows of policies sum to 1; what can be checked at
/// little cost stops the process where it is not so.
///
/// Tables over states and actions are vectors of length S * A, row-major: [state, action].
using StateActionTable = std::vector<double>;

/// pi(a | s) as a table [S, A] whose rows sum to 1.
using TabularPolicy = StateActionTable;

/// One way a transition can go.
struct Branch {
  int next = 0;            ///< State.
  double probability = 0;  ///< In (0, 1].
};

/// Dynamics p(s' | s, a), sparse: each pair (s, a) has a row of branches, sorted by state, without
/// repetition, with probabilities that sum to 1. A value type; const access is thread-safe.
class TabularDynamics {
 public:
  /// Every row is empty until SetRow.
  TabularDynamics(int states, int actions);

  int states() const { return states_; }
  int actions() const { return actions_; }

  std::span<const Branch> Row(int state, int action) const {
    return rows_[state * actions_ + action];
  }
  /// Takes branches in any order; adds up those to the same state, drops those of probability 0,
  /// and divides by their sum. At least one must be positive.
  void SetRow(int state, int action, std::span<const Branch> branches);
  double Probability(int state, int action, int next) const;

 private:
  int states_;
  int actions_;
  std::vector<std::vector<Branch>> rows_;  // [S * A]
};

/// Rewards are paid for the pair (s, a) when the action is taken, as in the experiments of
/// docs/algorithms.md: J = E[ sum_t discount^t r(s_t, a_t) ], t from 0, without end.
struct TabularMdp {
  TabularDynamics dynamics;
  StateActionTable rewards;  ///< [S, A]
  double discount = 0.9;     ///< In [0, 1).
  int start = 0;             ///< State at t = 0.
};

TabularPolicy UniformPolicy(int states, int actions);
/// All probability on the action of the highest value; of equal ones the first.
TabularPolicy GreedyPolicy(const StateActionTable& values, int actions);

/// (1 - weight) a + weight b, entry by entry. weight in [0, 1].
StateActionTable Mix(const StateActionTable& a, const StateActionTable& b, double weight);
TabularDynamics Mix(const TabularDynamics& a, const TabularDynamics& b, double weight);

/// The largest difference of two probabilities.
double MaxDifference(const StateActionTable& a, const StateActionTable& b);
double MaxDifference(const TabularDynamics& a, const TabularDynamics& b);

/// Q(s, a) of the policy by iterating its Bellman equation until no entry changes by more than
/// 1e-12 of the largest.
StateActionTable EvaluatePolicy(const TabularDynamics& dynamics, const TabularPolicy& policy,
                                const StateActionTable& rewards, double discount);
/// V(s) = sum_a pi(a | s) Q(s, a). [S]
std::vector<double> StateValues(const TabularPolicy& policy, const StateActionTable& q, int states);
/// V(start) of the policy: the expected discounted sum of `rewards` under `dynamics`.
double Return(const TabularMdp& mdp, const TabularDynamics& dynamics, const TabularPolicy& policy,
              const StateActionTable& rewards);

/// Where a draw falls: the index of an action with probabilities `row`, and the state behind a
/// branch of `row`. uniform: in [0, 1). The last one where rounding leaves a rest. Rows are not
/// empty.
int SampleAction(std::span<const double> row, double uniform);
int SampleNext(std::span<const Branch> row, double uniform);

/// The law of the state one step later, from the law of the state. [S]
std::vector<double> StepDistribution(const TabularDynamics& dynamics, const TabularPolicy& policy,
                                     std::span<const double> states);
/// Mean of the entropy of p(. | s, a) over `states`, at least one, and all actions [nats].
double MeanEntropy(const TabularDynamics& dynamics, std::span<const int> states);

}  // namespace tandem::objective
