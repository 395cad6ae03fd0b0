#include "services/monitor/core/gap_survey.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "common/base/status_macros.h"
#include "common/coadaptation/mean_error.h"
#include "common/coadaptation/return_scale.h"
#include "common/dynamics/imagination.h"
#include "services/monitor/core/acting.h"
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

/// The held policies that acted in an episode; empty where one of them is not held. distance: how
/// far the nearest to the first that is not is ahead of it [updates].
Turns FindTurns(const Episode& episode, const PolicyHistory& policies, double tolerance,
                double* distance) {
  std::vector<ActingPolicy> acting = episode.policies;
  if (acting.empty()) acting.push_back({0, episode.policy_version, episode.policy_updates});
  Turns turns;
  for (const ActingPolicy& policy : acting) {
    const double updates = static_cast<double>(policy.policy_updates);
    const HeldPolicy* held = FindActing(policies, updates, tolerance, distance);
    if (held == nullptr) return {};
    turns.push_back({policy.first_t, held});
  }
  return turns;
}

/// Windows of real steps, to be held against the model's.
struct Windows {
  std::vector<int64_t> begins;
  std::vector<double> real;  ///< Sums of rewards.
  std::vector<Turns> turns;
};

/// Up to kWindows windows of `steps` steps, spread over the rows. acting: at each row; null: such
/// windows are left out.
Windows FindWindows(const TransitionBatch& rows, std::span<const HeldPolicy* const> acting,
                    int64_t steps) {
  std::vector<int64_t> known = {0};  // rows before this one with somebody who acts
  for (const HeldPolicy* held : acting) known.push_back(known.back() + (held != nullptr ? 1 : 0));
  std::vector<int64_t> begins;
  std::vector<int64_t> ends;
  for (const Stretch& stretch : FindStretches(rows)) {
    for (int64_t i = stretch.begin; i < stretch.end; ++i) {
      if (i + steps > stretch.end && !stretch.terminated) break;
      const int64_t end = std::min(i + steps, stretch.end);
      if (known[end] - known[i] != end - i) continue;
      begins.push_back(i);
      ends.push_back(end);
    }
  }
  Windows windows;
  for (const int64_t k : Spread(static_cast<int64_t>(begins.size()), kWindows)) {
    windows.begins.push_back(begins[k]);
    double sum = 0;
    for (int64_t i = begins[k]; i < ends[k]; ++i) sum += rows.rewards[i];
    windows.real.push_back(sum);
    windows.turns.push_back(TurnsOf(acting.subspan(begins[k], ends[k] - begins[k])));
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
  if (policies.newest() == nullptr) return paired;
  std::vector<Turns> turns;
  std::vector<float> starts;
  for (const Episode& episode : episodes.last(plan.episodes)) {
    double distance = 0;
    Turns found = FindTurns(episode, policies, options.updates_tolerance, &distance);
    if (found.empty()) {
      *outcome = distance > 0 ? PairOutcome::kPolicyGone : PairOutcome::kPolicyNotYet;
      continue;
    }
    turns.push_back(std::move(found));
    starts.insert(starts.end(), episode.initial_observation.begin(),
                  episode.initial_observation.end());
    paired.real.push_back(episode.episode_return);
  }
  if (turns.empty()) return paired;
  const bool evaluation = episodes.back().purpose == Purpose::kEvaluation;
  paired.model.resize(turns.size());
  TANDEM_RETURN_IF_ERROR(
      dynamics::ImaginedReturns(*model.model, ActByTurns(turns, evaluation ? nullptr : &rng),
                                starts, plan.rollouts, plan.horizon, rng, cancelled, paired.model));
  *outcome = PairOutcome::kCompared;
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
    gaps.push_back(
        coadaptation::ReturnGap(paired.model[i], paired.real[i], material.world.return_scale));
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
  const std::vector<const HeldPolicy*> acting =
      ActingAtRows(rows, *material.policies, options.updates_tolerance);
  double Checkpoint::*const gaps[] = {&Checkpoint::gap_5, &Checkpoint::gap_25,
                                      &Checkpoint::gap_100};
  for (size_t h = 0; h < coadaptation::kGapHorizons.size(); ++h) {
    const int horizon = coadaptation::kGapHorizons[h];
    const Windows windows = FindWindows(rows, acting, horizon);
    if (windows.begins.empty()) continue;
    std::vector<double> returns(windows.begins.size());
    TANDEM_RETURN_IF_ERROR(
        dynamics::ImaginedReturns(*material.model.model, ActByTurns(windows.turns, &rng),
                                  Gather(rows.observations, rows.obs_dim, windows.begins), rollouts,
                                  horizon, rng, material.cancelled, returns));
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
    if (!std::isfinite(sums[0]) || !std::isfinite(sums[1])) return absl::OkStatus();
    agreeing += sums[0] > sums[1] ? 1 : sums[0] == sums[1] ? 0.5 : 0;
  }
  checkpoint->improvement_agreement = agreeing / static_cast<double>(model.elites().size());
  return absl::OkStatus();
}

}  // namespace tandem::monitor
