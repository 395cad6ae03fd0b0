#include "services/monitor/core/bias_survey.h"

#include <cmath>
#include <utility>

#include "common/base/status_macros.h"
#include "common/coadaptation/autocorrelation.h"
#include "common/coadaptation/backup_bias.h"
#include "common/coadaptation/discounted_mean.h"
#include "common/coadaptation/mean_error.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;

constexpr double kMostUnknown = 0.2;  // weight of what follows the last known step

/// Scores that count, with their places.
struct Scored {
  std::vector<ScoredStep> steps;
  std::vector<coadaptation::StepPlace> places;
};

/// Leaves out what is not finite and scales what is beyond `bound` (NaN: nothing is).
Scored Clean(const std::vector<ScoredStep>& scores, const TransitionBatch& rows, double bound,
             BiasCounts* counts) {
  Scored kept;
  for (int64_t i = 0; i < rows.size(); ++i) {
    ScoredStep score = scores[i];
    const double size = std::abs(score.bias.total());
    if (!std::isfinite(size) || !std::isfinite(score.residual)) {
      ++counts->nonfinite;
      continue;
    }
    if (size > bound) {
      ++counts->clipped;
      score.bias = {score.bias.reward * bound / size, score.bias.dynamics * bound / size,
                    score.bias.termination * bound / size};
    }
    kept.steps.push_back(score);
    kept.places.push_back({.t = rows.times[i], .terminated = rows.terminated[i] != 0});
  }
  counts->scored += static_cast<int64_t>(kept.steps.size());
  return kept;
}

template <typename Part>
std::vector<double> PartOf(const Scored& scored, Part part) {
  std::vector<double> values;
  values.reserve(scored.steps.size());
  for (const ScoredStep& step : scored.steps) values.push_back(part(step));
  return values;
}

/// Fills the shares of the whole and its parts.
void FillShares(const Scored& scored, double discount, double scale, Checkpoint* checkpoint) {
  const auto share = [&](auto part) {
    return coadaptation::CoadaptationIndex(
        coadaptation::DiscountedMean(PartOf(scored, part), scored.places, discount), discount,
        scale);
  };
  checkpoint->index_reward = share([](const ScoredStep& s) { return s.bias.reward; });
  checkpoint->index_dynamics = share([](const ScoredStep& s) { return s.bias.dynamics; });
  checkpoint->index_termination = share([](const ScoredStep& s) { return s.bias.termination; });
  checkpoint->index = share([](const ScoredStep& s) { return s.bias.total(); });
  checkpoint->unsigned_index = share([](const ScoredStep& s) { return std::abs(s.bias.total()); });
  checkpoint->residual = share([](const ScoredStep& s) { return s.residual; });
}

}  // namespace

absl::Status FillBias(const Material& material, const SurveyOptions& options,
                      const TransitionBatch& fresh, const ElitePredictions& predictions,
                      const ElitePredictions& heldout, TransitionScorer& scorer,
                      Checkpoint* checkpoint, BiasCounts* counts) {
  const policy::LoadedPolicy& policy = material.policy.policy;
  dynamics::DynamicsModel& model = *material.model.model;
  const double scale = material.world.return_scale;
  std::vector<ScoredStep> scores;
  TANDEM_RETURN_IF_ERROR(scorer.Score(model, policy, fresh, MeanRewards(predictions), &scores));
  const Scored scored = Clean(scores, fresh, options.bias_bound * scale, counts);
  FillShares(scored, policy.discount, scale, checkpoint);
  checkpoint->scored_steps = static_cast<double>(scored.steps.size());
  if (fresh.size() > 0) {
    checkpoint->clipped_share = static_cast<double>(counts->clipped + counts->nonfinite) /
                                static_cast<double>(fresh.size());
  }

  const std::vector<double> b = PartOf(scored, [](const ScoredStep& s) { return s.bias.total(); });
  const int64_t length = coadaptation::BlockLength(coadaptation::AutocorrelationTime(b));
  checkpoint->block_steps = static_cast<double>(length);
  checkpoint->index_error = coadaptation::CoadaptationIndex(
      coadaptation::DiscountedMeanError(b, scored.places, policy.discount, length), policy.discount,
      scale);

  if (material.heldout.size() == 0) return absl::OkStatus();
  scores.clear();
  TANDEM_RETURN_IF_ERROR(
      scorer.Score(model, policy, material.heldout, MeanRewards(heldout), &scores));
  BiasCounts ignored;
  Checkpoint twin;
  FillShares(Clean(scores, material.heldout, options.bias_bound * scale, &ignored), policy.discount,
             scale, &twin);
  checkpoint->index_heldout = twin.index;
  return absl::OkStatus();
}

absl::Status FillValueBias(const Material& material, const TransitionBatch& fresh,
                           TransitionScorer& scorer, Checkpoint* checkpoint) {
  const policy::LoadedPolicy& policy = material.policy.policy;
  if (!(material.world.return_scale > 0)) return absl::OkStatus();
  std::vector<float> q(fresh.size());
  TANDEM_RETURN_IF_ERROR(policy.critic->Value(fresh.observations, fresh.actions, q));
  std::vector<double> biases;
  for (const Stretch& stretch : FindStretches(fresh)) {
    std::vector<double> beyond = {0};
    if (!stretch.terminated) {
      TANDEM_RETURN_IF_ERROR(
          scorer.Values(policy,
                        std::span<const float>(fresh.next_observations)
                            .subspan((stretch.end - 1) * fresh.obs_dim, fresh.obs_dim),
                        1, fresh.action_dim, &beyond));
    }
    const std::vector<double> returns = coadaptation::ReturnsToGo(
        std::span<const float>(fresh.rewards).subspan(stretch.begin, stretch.end - stretch.begin),
        policy.discount, beyond[0]);
    for (int64_t i = stretch.begin; i < stretch.end; ++i) {
      const double unknown =
          stretch.terminated ? 0 : std::pow(policy.discount, static_cast<double>(stretch.end - i));
      const double bias = (q[i] - returns[i - stretch.begin]) / material.world.return_scale;
      if (unknown <= kMostUnknown && std::isfinite(bias)) biases.push_back(bias);
    }
  }
  const coadaptation::MeanError figures = coadaptation::MeanAndError(biases);
  checkpoint->value_bias = figures.mean;
  checkpoint->value_bias_sd = figures.sd;
  return absl::OkStatus();
}

}  // namespace tandem::monitor
