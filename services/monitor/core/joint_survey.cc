#include "services/monitor/core/joint_survey.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "common/base/log_sum_exp.h"
#include "common/base/status_macros.h"
#include "common/dynamics/imagination.h"
#include "services/monitor/core/act_by.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using objective::JointTerms;
using objective::LogRatioFigures;

constexpr int64_t kPairs = 1000;
constexpr int64_t kDepthStarts = 128;
constexpr int64_t kMostHorizon = 1000;
constexpr double kLeft = 0.02;  // of the discount, at the horizon

/// Rollouts of the policy in the model, with the log-ratio of each step.
class Rollouts {
 public:
  Rollouts(const Material& material, std::vector<float> starts, Rng& rng)
      : model_(*material.model.model),
        act_(ActBy(*material.policy.policy.policy, &rng)),
        estimator_(material.policy.joint->ratio, model_, *material.model.classifier),
        rng_(rng),
        states_(std::move(starts)) {}

  bool empty() const { return states_.empty(); }

  /// One step of all that go on; adds to `figures`, which may be null.
  absl::Status Step(LogRatioFigures* figures) {
    const size_t rows = states_.size() / model_.obs_dim();
    actions_.resize(rows * model_.action_dim());
    TANDEM_RETURN_IF_ERROR(act_(states_, actions_));
    TANDEM_RETURN_IF_ERROR(model_.Step(states_, actions_, rng_, &step_));
    next_.swap(step_.next_observations);
    rewards_.swap(step_.rewards);
    terminated_.swap(step_.terminated);
    ratios_.resize(rows);
    return estimator_.Estimate(states_, actions_, next_, rng_, ratios_, figures);
  }

  /// Of the last step, a row for each rollout that goes on.
  std::span<const float> rewards() const { return rewards_; }
  std::span<const float> ratios() const { return ratios_; }

  /// Goes on with the rows that have not ended.
  void Advance() {
    const int64_t dim = model_.obs_dim();
    states_.clear();
    for (size_t i = 0; i < terminated_.size(); ++i) {
      if (terminated_[i] != 0) continue;
      const auto row = next_.begin() + static_cast<int64_t>(i) * dim;
      states_.insert(states_.end(), row, row + dim);
    }
  }

 private:
  dynamics::DynamicsModel& model_;
  const dynamics::ActFunction act_;
  objective::LogRatioEstimator estimator_;
  Rng& rng_;
  std::vector<float> states_, actions_, next_, rewards_, ratios_;
  std::vector<uint8_t> terminated_;
  dynamics::ModelStep step_;
};

absl::Status FillAccuracy(const Material& material, Rng& rng, Checkpoint* checkpoint) {
  const TransitionBatch& rows = material.heldout;
  const std::vector<int64_t> some = Spread(rows.size(), kPairs);
  if (some.empty()) return absl::OkStatus();
  const auto observations = Gather(rows.observations, rows.obs_dim, some);
  const auto actions = Gather(rows.actions, rows.action_dim, some);
  const auto next = Gather(rows.next_observations, rows.obs_dim, some);
  dynamics::ModelStep step;
  TANDEM_RETURN_IF_ERROR(material.model.model->Step(observations, actions, rng, &step));
  std::vector<float> real(some.size()), modelled(some.size());
  objective::TransitionClassifier& classifier = *material.model.classifier;
  TANDEM_RETURN_IF_ERROR(classifier.Logits(observations, actions, next, real));
  TANDEM_RETURN_IF_ERROR(
      classifier.Logits(observations, actions, step.next_observations, modelled));
  int64_t right = 0;
  for (size_t i = 0; i < some.size(); ++i) right += (real[i] > 0 ? 1 : 0) + (modelled[i] < 0);
  checkpoint->classifier_accuracy = static_cast<double>(right) / (2.0 * some.size());
  return absl::OkStatus();
}

absl::Status FillDepths(const Material& material, Rng& rng, Checkpoint* checkpoint) {
  const TransitionBatch& fresh = material.fresh;
  Rollouts rollouts(
      material, Gather(fresh.observations, fresh.obs_dim, Spread(fresh.size(), kDepthStarts)), rng);
  double Checkpoint::*const means[] = {&Checkpoint::log_ratio_1, &Checkpoint::log_ratio_5,
                                       &Checkpoint::log_ratio_10, &Checkpoint::log_ratio_20};
  LogRatioFigures all;
  size_t next = 0;
  for (int depth = 1; next < coadaptation::kOpenLoopHorizons.size() && !rollouts.empty(); ++depth) {
    if (material.cancelled()) return absl::CancelledError("log-ratios: cancelled");
    LogRatioFigures here;
    TANDEM_RETURN_IF_ERROR(rollouts.Step(&here));
    all.Add(here);
    if (depth == coadaptation::kOpenLoopHorizons[next]) checkpoint->*means[next++] = here.mean();
    rollouts.Advance();
  }
  if (all.rows > 0) checkpoint->log_ratio_clipped = all.lower_share() + all.upper_share();
  return absl::OkStatus();
}

/// Where an episode may begin to count.
enum class From { kItsStart, kItsFirstFreshStep };

/// A real episode from there, as far as the fresh steps have it.
struct Whole {
  int64_t begin = 0;
  double log_paid = 0;  ///< Logarithm of the discounted sum, over the horizon.
};

/// Environments that took these steps side by side: the most stretches that overlap.
int64_t SideBySide(const TransitionBatch& rows, const std::vector<Stretch>& stretches) {
  std::vector<std::pair<int64_t, int>> changes;
  for (const Stretch& stretch : stretches) {
    changes.emplace_back(rows.indices[stretch.begin], 1);
    changes.emplace_back(rows.indices[stretch.end - 1] + 1, -1);
  }
  std::sort(changes.begin(), changes.end());
  int64_t running = 0, most = 1;
  for (const auto& [index, change] : changes) most = std::max(most, running += change);
  return most;
}

/// The fresh episodes that are known over the whole horizon. One that terminated before it counts
/// only where one that did not would have been seen to its end.
std::vector<Whole> FindWhole(const TransitionBatch& rows, const JointTerms& terms, int64_t horizon,
                             From from) {
  const std::vector<Stretch> stretches = FindStretches(rows);
  const int64_t room = horizon * SideBySide(rows, stretches);
  std::vector<int64_t> indices = rows.indices;
  std::sort(indices.begin(), indices.end());
  const auto steps_from = [&indices](int64_t index) {
    return indices.end() - std::lower_bound(indices.begin(), indices.end(), index);
  };
  std::vector<Whole> found;
  std::vector<double> logs(horizon);
  for (const Stretch& stretch : stretches) {
    const int64_t length = std::min(stretch.end - stretch.begin, horizon);
    const bool short_but_seen =
        stretch.terminated && steps_from(rows.indices[stretch.begin]) >= room;
    if (length < horizon && !short_but_seen) continue;
    if (from == From::kItsStart && rows.times[stretch.begin] != 0) continue;
    for (int64_t t = 0; t < horizon; ++t) {  // a terminal state pays 1 for ever
      const double paid = t < length ? terms.reward.Log(rows.rewards[stretch.begin + t]) : 0;
      logs[t] = paid + (t == 0 ? 0 : static_cast<double>(t) * std::log(terms.discount));
    }
    found.push_back({stretch.begin, LogSumExp(logs)});
  }
  return found;
}

/// Where the discount has left little, as far as an episode may go.
int64_t HorizonOf(const Material& material, double discount) {
  const double steps = discount > 0 ? std::ceil(std::log(kLeft) / std::log(discount)) : 1;
  const int64_t most = material.max_episode_steps > 0
                           ? std::min(material.max_episode_steps, kMostHorizon)
                           : kMostHorizon;
  return std::clamp<int64_t>(static_cast<int64_t>(steps), 1, most);
}

/// What the bound and the return beside it are taken over.
struct Comparison {
  int64_t horizon = 0;
  std::vector<Whole> whole;  ///< Empty: there is nothing to compare.
};

Comparison Choose(const Material& material, const JointTerms& terms) {
  const TransitionBatch& rows = material.fresh;
  const int64_t wanted = HorizonOf(material, terms.discount);
  Comparison chosen{wanted, FindWhole(rows, terms, wanted, From::kItsStart)};
  if (!chosen.whole.empty()) return chosen;
  chosen.horizon = std::min(wanted, rows.size() / (2 * SideBySide(rows, FindStretches(rows))));
  if (chosen.horizon < 1) return chosen;
  chosen.whole = FindWhole(rows, terms, chosen.horizon, From::kItsFirstFreshStep);
  return chosen;
}

absl::Status FillBound(const Material& material, const SurveyOptions& options, Rng& rng,
                       Checkpoint* checkpoint) {
  const JointTerms& terms = *material.policy.joint;
  if (!terms.log_reward) return absl::OkStatus();
  const double g = terms.discount;
  const auto [horizon, whole] = Choose(material, terms);
  if (whole.empty()) return absl::OkStatus();
  std::vector<double> paid;
  paid.reserve(whole.size());
  for (const Whole& episode : whole) paid.push_back(episode.log_paid);

  const int64_t affordable = std::max<int64_t>(1, options.model_steps / 6 / horizon);
  std::vector<int64_t> begins;
  for (const int64_t i : Spread(static_cast<int64_t>(whole.size()), affordable)) {
    begins.push_back(whole[i].begin);
  }
  const double count = static_cast<double>(begins.size());
  Rollouts rollouts(material, Gather(material.fresh.observations, material.fresh.obs_dim, begins),
                    rng);
  const double last = std::pow(g, static_cast<double>(horizon));
  const double weights = (1 - last) / (1 - g);  // c
  double sum = 0, discount = 1;
  for (int64_t t = 0; t < horizon && !rollouts.empty(); ++t, discount *= g) {
    if (material.cancelled()) return absl::CancelledError("joint bound: cancelled");
    TANDEM_RETURN_IF_ERROR(rollouts.Step(nullptr));
    for (size_t i = 0; i < rollouts.rewards().size(); ++i) {
      sum += discount * terms.reward.Log(rollouts.rewards()[i]) +
             (discount - last) / (1 - g) * rollouts.ratios()[i];
    }
    rollouts.Advance();
  }
  checkpoint->joint_bound = std::log(weights) + sum / count / weights;
  checkpoint->joint_log_return = LogSumExp(paid) - std::log(static_cast<double>(paid.size()));
  checkpoint->joint_horizon = static_cast<double>(horizon);
  return absl::OkStatus();
}

}  // namespace

absl::Status FillJoint(const Material& material, const SurveyOptions& options, Rng& rng,
                       Checkpoint* checkpoint) {
  const bool joint = material.model.classifier != nullptr && material.policy.joint.has_value();
  if (!joint) return absl::OkStatus();
  checkpoint->ratio_weight = material.policy.joint->weight;
  TANDEM_RETURN_IF_ERROR(FillAccuracy(material, rng, checkpoint));
  if (material.fresh.size() == 0) return absl::OkStatus();
  TANDEM_RETURN_IF_ERROR(FillDepths(material, rng, checkpoint));
  return FillBound(material, options, rng, checkpoint);
}

}  // namespace tandem::monitor
