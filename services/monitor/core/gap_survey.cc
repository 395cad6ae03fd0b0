#include "services/monitor/core/gap_survey.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "common/base/status_macros.h"
#include "common/coadaptation/mean_error.h"
#include "common/coadaptation/return_scale.h"
#include "common/dynamics/imagination.h"
#include "services/monitor/core/act_by.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;

constexpr int64_t kWindows = 50;
constexpr int kWindowRollouts = 4;
constexpr int64_t kMostEpisodes = 20;

double Mean(std::span<const double> values) { return coadaptation::MeanAndError(values).mean; }

/// How many episodes and rollouts the bound allows.
struct Plan {
  int64_t horizon = 0;
  int64_t episodes = 0;
  int rollouts = 0;
};

Plan PlanRollouts(std::span<const Episode> episodes, int64_t max_episode_steps,
                  const SurveyOptions& options) {
  Plan plan = {.horizon = max_episode_steps};
  if (plan.horizon == 0) {
    for (const Episode& episode : episodes) plan.horizon = std::max(plan.horizon, episode.length);
  }
  const int64_t affordable = options.model_steps / std::max<int64_t>(1, plan.horizon);
  plan.episodes = std::min({static_cast<int64_t>(episodes.size()), affordable, kMostEpisodes});
  if (plan.episodes == 0) return plan;
  plan.rollouts =
      static_cast<int>(std::clamp<int64_t>(affordable / plan.episodes, 1, options.rollouts));
  return plan;
}

/// Episodes that one policy played.
struct Group {
  const HeldPolicy* held = nullptr;
  std::vector<const Episode*> episodes;
};

/// A window of real steps, to be held against the model's.
struct Windows {
  std::vector<int64_t> begins;
  std::vector<double> real;  ///< Sums of rewards.
};

/// Up to kWindows windows of `steps` steps, spread over the rows.
Windows FindWindows(const TransitionBatch& rows, int64_t steps) {
  std::vector<int64_t> begins;
  std::vector<int64_t> ends;
  for (const Stretch& stretch : FindStretches(rows)) {
    for (int64_t i = stretch.begin; i < stretch.end; ++i) {
      if (i + steps > stretch.end && !stretch.terminated) break;
      begins.push_back(i);
      ends.push_back(std::min(i + steps, stretch.end));
    }
  }
  Windows windows;
  for (const int64_t k : Spread(static_cast<int64_t>(begins.size()), kWindows)) {
    windows.begins.push_back(begins[k]);
    double sum = 0;
    for (int64_t i = begins[k]; i < ends[k]; ++i) sum += rows.rewards[i];
    windows.real.push_back(sum);
  }
  return windows;
}

using TwoReturns = std::array<double, 2>;

/// Returns of two policies in the mean of one member, each summed over all start states. Both are
/// predicted at once: for few states that costs hardly more than one of them.
absl::StatusOr<TwoReturns> MemberReturns(dynamics::DynamicsModel& model, int member,
                                         const std::array<policy::Policy*, 2>& policies,
                                         const std::vector<float>& starts, int64_t steps,
                                         const std::function<bool()>& cancelled) {
  const int64_t dim = model.obs_dim();
  std::array<std::vector<float>, 2> states = {starts, starts};
  TwoReturns sums = {0, 0};
  dynamics::MemberPrediction prediction;
  for (int64_t t = 0; t < steps && !(states[0].empty() && states[1].empty()); ++t) {
    if (cancelled()) return absl::CancelledError("agreement: cancelled");
    std::vector<float> all;
    std::vector<float> actions;
    for (size_t p = 0; p < policies.size(); ++p) {
      if (states[p].empty()) continue;
      std::vector<float> chosen(states[p].size() / dim * model.action_dim());
      TANDEM_RETURN_IF_ERROR(policies[p]->Act(states[p], nullptr, chosen, {}));
      all.insert(all.end(), states[p].begin(), states[p].end());
      actions.insert(actions.end(), chosen.begin(), chosen.end());
    }
    TANDEM_RETURN_IF_ERROR(model.Predict(member, all, actions, &prediction));
    int64_t row = 0;
    for (size_t p = 0; p < policies.size(); ++p) {
      const int64_t end = row + static_cast<int64_t>(states[p].size()) / dim;
      states[p].clear();
      for (; row < end; ++row) {
        sums[p] += prediction.reward_means[row];
        if (prediction.termination_probs[row] > 0.5f) continue;
        const auto next = prediction.next_means.begin() + row * dim;
        states[p].insert(states[p].end(), next, next + dim);
      }
    }
  }
  return sums;
}

}  // namespace

absl::StatusOr<PairedReturns> PairReturns(const HeldModel& model, const PolicyHistory& policies,
                                          std::span<const Episode> episodes,
                                          int64_t max_episode_steps, const SurveyOptions& options,
                                          Rng& rng, const std::function<bool()>& cancelled,
                                          PairOutcome* outcome) {
  PairedReturns paired;
  *outcome = PairOutcome::kTooLong;
  const Plan plan = PlanRollouts(episodes, max_episode_steps, options);
  if (plan.episodes == 0) return paired;
  *outcome = PairOutcome::kPolicyNotYet;
  // By updates, not by address: the random numbers must not depend on where things lie.
  std::map<uint64_t, Group> groups;
  for (const Episode& episode : episodes.last(plan.episodes)) {
    const double updates = static_cast<double>(episode.policy_updates);
    const HeldPolicy* held = policies.Nearest(updates);
    if (held == nullptr) return paired;
    const double distance = static_cast<double>(held->policy.policy_updates) - updates;
    if (std::abs(distance) <= options.updates_tolerance) {
      Group& group = groups[held->policy.policy_updates];
      group.held = held;
      group.episodes.push_back(&episode);
    } else {
      *outcome = distance > 0 ? PairOutcome::kPolicyGone : PairOutcome::kPolicyNotYet;
    }
  }
  for (const auto& [updates, group] : groups) {
    std::vector<float> starts;
    const bool evaluation = group.episodes.front()->purpose == Purpose::kEvaluation;
    for (const Episode* episode : group.episodes) {
      starts.insert(starts.end(), episode->initial_observation.begin(),
                    episode->initial_observation.end());
      paired.real.push_back(episode->episode_return);
    }
    std::vector<double> returns(group.episodes.size());
    TANDEM_RETURN_IF_ERROR(dynamics::ImaginedReturns(
        *model.model, ActBy(*group.held->policy.policy, evaluation ? nullptr : &rng), starts,
        plan.rollouts, plan.horizon, rng, cancelled, returns));
    paired.model.insert(paired.model.end(), returns.begin(), returns.end());
    *outcome = PairOutcome::kCompared;
  }
  return paired;
}

absl::Status FillPairedGap(const Material& material, const SurveyOptions& options, Rng& rng,
                           Checkpoint* checkpoint) {
  if (material.episodes.empty()) return absl::OkStatus();
  PairOutcome outcome = PairOutcome::kCompared;
  TANDEM_ASSIGN_OR_RETURN(
      const PairedReturns paired,
      PairReturns(material.model, *material.policies, material.episodes, material.max_episode_steps,
                  options, rng, material.cancelled, &outcome));
  checkpoint->model_return = Mean(paired.model);
  checkpoint->real_return = Mean(paired.real);
  std::vector<double> gaps;
  for (size_t i = 0; i < paired.model.size(); ++i) {
    const double gap =
        coadaptation::ReturnGap(paired.model[i], paired.real[i], material.world.return_scale);
    if (std::isfinite(gap)) gaps.push_back(gap);
  }
  const coadaptation::MeanError figures = coadaptation::MeanAndError(gaps);
  checkpoint->gap_episode = figures.mean;
  checkpoint->gap_episode_error = figures.error;
  const size_t parts = std::min(gaps.size(), coadaptation::kEpisodeParts.size());
  for (size_t i = 0; i < parts && parts > 1; ++i) {
    const size_t begin = i * gaps.size() / parts;
    const size_t end = (i + 1) * gaps.size() / parts;
    checkpoint->*coadaptation::kEpisodeParts[i] =
        Mean(std::span<const double>(gaps).subspan(begin, end - begin));
  }
  return absl::OkStatus();
}

absl::Status FillBranchedGaps(const Material& material, const SurveyOptions& options, Rng& rng,
                              Checkpoint* checkpoint) {
  const TransitionBatch& rows = material.fresh;
  int64_t steps_of_one = 0;  // model steps of one rollout from every window
  for (const int k : coadaptation::kGapHorizons) steps_of_one += kWindows * k;
  const int rollouts = static_cast<int>(
      std::clamp<int64_t>(options.model_steps / 6 / steps_of_one, 1, kWindowRollouts));
  double Checkpoint::*const gaps[] = {&Checkpoint::gap_5, &Checkpoint::gap_25,
                                      &Checkpoint::gap_100};
  for (size_t h = 0; h < coadaptation::kGapHorizons.size(); ++h) {
    const int horizon = coadaptation::kGapHorizons[h];
    const Windows windows = FindWindows(rows, horizon);
    if (windows.begins.empty()) continue;
    std::vector<double> returns(windows.begins.size());
    TANDEM_RETURN_IF_ERROR(dynamics::ImaginedReturns(
        *material.model.model, ActBy(*material.policy.policy.policy, &rng),
        Gather(rows.observations, rows.obs_dim, windows.begins), rollouts, horizon, rng,
        material.cancelled, returns));
    checkpoint->*gaps[h] =
        coadaptation::BranchedGap(Mean(returns) - Mean(windows.real), horizon,
                                  material.episode_length, material.world.return_scale);
  }
  return absl::OkStatus();
}

absl::Status FillAgreement(const Material& material, Checkpoint* checkpoint) {
  constexpr int64_t kStarts = 8;
  constexpr int64_t kSteps = 100;
  const policy::LoadedPolicy& now = material.policy.policy;
  const policy::LoadedPolicy& then = material.at_fit.policy;
  if (then.policy == nullptr || then.policy == now.policy || material.fresh.size() == 0) {
    return absl::OkStatus();
  }
  const std::vector<float> starts = Gather(material.fresh.observations, material.fresh.obs_dim,
                                           Spread(material.fresh.size(), kStarts));
  const int64_t steps =
      material.max_episode_steps > 0 ? std::min(kSteps, material.max_episode_steps) : kSteps;
  dynamics::DynamicsModel& model = *material.model.model;
  double agreeing = 0;
  for (const int member : model.elites()) {
    TANDEM_ASSIGN_OR_RETURN(const TwoReturns sums,
                            MemberReturns(model, member, {now.policy.get(), then.policy.get()},
                                          starts, steps, material.cancelled));
    agreeing += sums[0] > sums[1] ? 1 : sums[0] == sums[1] ? 0.5 : 0;
  }
  checkpoint->improvement_agreement = agreeing / static_cast<double>(model.elites().size());
  return absl::OkStatus();
}

}  // namespace tandem::monitor
