#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "common/dynamics/dynamics_model.h"

namespace tandem::dynamics {

/// How much the members of a model disagree about steps: what it does not know, apart from the
/// noise of the world. For one step
///
///   u = sqrt( mean over outputs j of  Var over elites k of mu_kj  /  sigma_j^2 )
///
/// with mu_kj the predicted mean of output j (each change of the observation, and the reward) and
/// sigma_j its standard deviation in the training data: a number without unit, 0 where all agree
/// (and always with one elite), about 1 where they differ as much as the data vary. MOPO (Yu et al.
/// 2020) takes it off the reward, MOReL (Kidambi et al. 2020) and MACURA (Frauenknecht et al. 2024)
/// end rollouts by it; they measure it by the largest predicted variance, the largest distance of
/// two members and a divergence of their Gaussians.
///
/// Blind to errors that all members share. Costs one forward pass of every elite. Not thread-safe;
/// the model outlives it.
class Disagreement {
 public:
  explicit Disagreement(DynamicsModel& model) : model_(model) {}

  /// u of each row. observations: [B, obs_dim]; actions: [B, action_dim] in the environment's
  /// units; u: resized to [B]. FAILED_PRECONDITION where the model knows no standard deviations.
  absl::Status Of(std::span<const float> observations, std::span<const float> actions,
                  std::vector<float>* u);

 private:
  DynamicsModel& model_;
  MemberPrediction prediction_;
  std::vector<double> sums_, squares_;  // [B, obs_dim + 1] over elites, in standard deviations
};

/// Uses disagreement to keep imagination honest: less reward where the members disagree, and no
/// further steps where they disagree far more than at the states that rollouts start from.
///
/// Not thread-safe; the model outlives it.
class Caution {
 public:
  /// pessimism: rewards lose pessimism * sigma_r * u, sigma_r the standard deviation of the reward
  /// in the training data. truncate_above: rollouts end before a step whose u exceeds
  /// truncate_above times the 95 % quantile of u over first steps so far. 0 turns either off.
  Caution(DynamicsModel& model, double pessimism, double truncate_above)
      : model_(model),
        pessimism_(pessimism),
        truncate_above_(truncate_above),
        disagreement_(model) {}

  bool active() const { return pessimism_ > 0 || truncate_above_ > 0; }

  /// Judges the steps under way: changes `rewards`, [B], and sets too_far(). first: whether they
  /// are the first steps of their rollouts.
  absl::Status Judge(std::span<const float> observations, std::span<const float> actions,
                     bool first, std::span<float> rewards);
  /// Whether a row of the last Judge() lies beyond the limit.
  bool too_far(int64_t row) const { return u_[row] > limit_; }

 private:
  void MoveLimit();

  DynamicsModel& model_;
  const double pessimism_;
  const double truncate_above_;
  Disagreement disagreement_;
  std::vector<float> u_;
  std::vector<float> first_;  // u of all first steps
  double limit_ = 0;
};

}  // namespace tandem::dynamics
