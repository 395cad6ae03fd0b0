#include "services/monitor/core/occupancy_survey.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/base/status_macros.h"
#include "common/coadaptation/gaussian_score.h"
#include "common/coadaptation/mean_error.h"
#include "common/coadaptation/quantile.h"
#include "common/coadaptation/two_sample.h"
#include "common/dynamics/imagination.h"
#include "services/monitor/core/act_by.h"
#include "services/monitor/core/prediction_survey.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;

constexpr int kHorizonIfUnknown = 5;
constexpr int kLongestHorizon = 100;

/// Imagined steps that begin in an imagined state.
absl::StatusOr<TransitionBatch> ImagineRows(const Material& material, const SurveyOptions& options,
                                            Rng& rng) {
  const double known = material.policy.horizon;
  const int horizon = std::isfinite(known)
                          ? static_cast<int>(std::clamp<double>(known, 1, kLongestHorizon))
                          : kHorizonIfUnknown;
  const dynamics::ActFunction act = ActBy(*material.policy.policy.policy, &rng);
  dynamics::DynamicsModel& model = *material.model.model;
  const int64_t starts = (options.imagined_rows + horizon - 1) / horizon;
  int64_t dropped = 0;
  TransitionBatch first;
  TANDEM_RETURN_IF_ERROR(
      dynamics::Imagine(model, act,
                        Gather(material.fresh.observations, material.fresh.obs_dim,
                               Spread(material.fresh.size(), starts)),
                        {.horizon = 1}, rng, material.cancelled, &first, &dropped));
  std::vector<int64_t> going;
  for (int64_t i = 0; i < first.size(); ++i) {
    if (first.terminated[i] == 0) going.push_back(i);
  }
  TransitionBatch rows;
  TANDEM_RETURN_IF_ERROR(
      dynamics::Imagine(model, act, Gather(first.next_observations, first.obs_dim, going),
                        {.horizon = horizon}, rng, material.cancelled, &rows, &dropped));
  return rows;
}

/// Mean KL of the policy from the one at the last fit, over the rows' states; NaN where either is
/// not known or no squashed Gaussian.
double PolicyShift(const Material& material, const TransitionBatch& rows) {
  const auto& then = material.at_fit.policy.policy;
  if (then == nullptr || rows.size() == 0) return Checkpoint::kNaN;
  const size_t count = rows.size() * rows.action_dim;
  std::vector<float> means(count), log_stds(count), then_means(count), then_log_stds(count);
  policy::Policy& now = *material.policy.policy.policy;
  if (!now.Distribution(rows.observations, means, log_stds).ok() ||
      !then->Distribution(rows.observations, then_means, then_log_stds).ok()) {
    return Checkpoint::kNaN;
  }
  return coadaptation::DiagonalGaussianKl(means, log_stds, then_means, then_log_stds) /
         static_cast<double>(rows.size());
}

void AppendRewards(const TransitionBatch& rows, std::vector<double>* rewards) {
  rewards->insert(rewards->end(), rows.rewards.begin(), rows.rewards.end());
}

}  // namespace

absl::Status FillOccupancy(const Material& material, const SurveyOptions& options, Rng& rng,
                           Checkpoint* checkpoint) {
  const TransitionBatch& fresh = material.fresh;
  if (fresh.size() == 0) return absl::OkStatus();
  TANDEM_ASSIGN_OR_RETURN(const TransitionBatch rows, ImagineRows(material, options, rng));
  const int64_t width = fresh.obs_dim + fresh.action_dim;
  const auto pairs = [](const TransitionBatch& batch, int64_t most) {
    return StatesAndActions(batch, Spread(batch.size(), most));
  };
  const coadaptation::ClassifierResult apart = coadaptation::ClassifierTest(
      pairs(rows, options.imagined_rows), pairs(fresh, options.imagined_rows), width, rng);
  checkpoint->c2st_auc = apart.auc;
  checkpoint->effective_sample_share = coadaptation::EffectiveSampleShare(apart.first);
  checkpoint->mmd = coadaptation::MaximumMeanDiscrepancy(
      pairs(rows, options.kernel_rows), pairs(fresh, options.kernel_rows), width, rng);
  checkpoint->policy_shift = PolicyShift(material, rows);

  std::vector<double> imagined;
  std::vector<double> real;
  AppendRewards(rows, &imagined);
  for (const TransitionBatch* batch : {&fresh, &material.heldout, &material.train}) {
    AppendRewards(*batch, &real);
  }
  checkpoint->reward_range = coadaptation::RewardRange(imagined, real);

  if (rows.size() == 0 ||
      static_cast<int64_t>(material.world.output_sds.size()) != fresh.obs_dim + 1) {
    return absl::OkStatus();
  }
  TANDEM_ASSIGN_OR_RETURN(const ElitePredictions predictions,
                          PredictElites(*material.model.model, rows.observations, rows.actions));
  checkpoint->disagreement_imagined =
      coadaptation::MeanAndError(
          Disagreements(predictions, fresh.obs_dim, material.world.output_sds))
          .mean;
  if (checkpoint->disagreement_real > 0) {
    checkpoint->disagreement_ratio =
        checkpoint->disagreement_imagined / checkpoint->disagreement_real;
  }
  return absl::OkStatus();
}

}  // namespace tandem::monitor
