#include "services/monitor/core/prediction_survey.h"

#include <cmath>

#include "common/base/status_macros.h"
#include "common/coadaptation/gaussian_score.h"
#include "common/coadaptation/mean_error.h"
#include "common/coadaptation/model_error.h"
#include "common/coadaptation/rank_correlation.h"
#include "common/data/finite.h"

namespace tandem::monitor {
namespace {

using coadaptation::MeanAndError;

/// One output of one row: what happened and what an elite said, in standard deviations, from the
/// observation before.
struct Output {
  double value;
  double mean;
  double sd;
};

Output OutputOf(const dynamics::MemberPrediction& prediction, const TransitionBatch& rows,
                int64_t row, int64_t j, std::span<const double> sds) {
  const int64_t dim = rows.obs_dim;
  if (j == dim) {
    return {rows.rewards[row] / sds[j], prediction.reward_means[row] / sds[j],
            prediction.reward_stds[row] / sds[j]};
  }
  const int64_t i = row * dim + j;
  return {rows.next_observations[i] / sds[j], prediction.next_means[i] / sds[j],
          prediction.next_stds[i] / sds[j]};
}

/// Scores of many outputs. NaN scores (no spread) are left out.
struct Scores {
  std::vector<double> nll;
  std::vector<double> crps;
  std::vector<double> transforms;
  double squared = 0;  ///< of the elites' mean, sum over the outputs of one row
  int outputs = 0;
};

/// Adds output j of one row.
void AddOutput(const ElitePredictions& predictions, const TransitionBatch& rows, int64_t row,
               int64_t j, std::span<const double> sds, Scores* scores) {
  const double share = 1.0 / static_cast<double>(predictions.size());
  double mean = 0;
  double nll = 0;
  double crps = 0;
  double transform = 0;
  double value = 0;
  for (const dynamics::MemberPrediction& prediction : predictions) {
    const Output out = OutputOf(prediction, rows, row, j, sds);
    value = out.value;
    mean += share * out.mean;
    nll += share * coadaptation::GaussianNll(out.value, out.mean, out.sd);
    crps += share * coadaptation::GaussianCrps(out.value, out.mean, out.sd);
    transform += out.sd > 0 ? share * coadaptation::NormalCdf((out.value - out.mean) / out.sd)
                            : coadaptation::Checkpoint::kNaN;
  }
  scores->squared += (value - mean) * (value - mean);
  ++scores->outputs;
  if (!std::isnan(nll)) scores->nll.push_back(nll);
  if (!std::isnan(crps)) scores->crps.push_back(crps);
  if (!std::isnan(transform)) scores->transforms.push_back(transform);
}

bool RowIsFinite(const ElitePredictions& predictions, int64_t row, int64_t dim) {
  for (const dynamics::MemberPrediction& prediction : predictions) {
    const auto finite = [row](std::span<const float> column, int64_t width) {
      return AllFinite(column.subspan(row * width, width));
    };
    if (!finite(prediction.reward_means, 1) || !finite(prediction.reward_stds, 1) ||
        !finite(prediction.next_means, dim) || !finite(prediction.next_stds, dim)) {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<ElitePredictions> PredictElites(dynamics::DynamicsModel& model,
                                               std::span<const float> observations,
                                               std::span<const float> actions) {
  ElitePredictions predictions(model.elites().size());
  for (size_t k = 0; k < predictions.size(); ++k) {
    TANDEM_RETURN_IF_ERROR(
        model.Predict(model.elites()[k], observations, actions, &predictions[k]));
  }
  return predictions;
}

std::vector<double> MeanRewards(const ElitePredictions& predictions) {
  std::vector<double> means(predictions.empty() ? 0 : predictions[0].reward_means.size());
  for (const dynamics::MemberPrediction& prediction : predictions) {
    for (size_t i = 0; i < means.size(); ++i) {
      means[i] += prediction.reward_means[i] / static_cast<double>(predictions.size());
    }
  }
  return means;
}

std::vector<double> Disagreements(const ElitePredictions& predictions, int64_t obs_dim,
                                  std::span<const double> sds) {
  std::vector<double> out(predictions.empty() ? 0 : predictions[0].reward_means.size());
  const double n = static_cast<double>(predictions.size());
  for (size_t row = 0; row < out.size(); ++row) {
    double variances = 0;
    int outputs = 0;
    for (int64_t j = 0; j <= obs_dim; ++j) {
      if (!(sds[j] > 0)) continue;
      const auto mean_of = [&](const dynamics::MemberPrediction& p) -> double {
        return j == obs_dim ? p.reward_means[row] : p.next_means[row * obs_dim + j];
      };
      double mean = 0;
      for (const auto& prediction : predictions) mean += mean_of(prediction) / n;
      double variance = 0;
      for (const auto& prediction : predictions) {
        variance += (mean_of(prediction) - mean) * (mean_of(prediction) - mean) / n;
      }
      variances += variance / (sds[j] * sds[j]);
      ++outputs;
    }
    out[row] = outputs == 0 ? coadaptation::Checkpoint::kNaN : std::sqrt(variances / outputs);
  }
  return out;
}

PredictionQuality JudgePredictions(const ElitePredictions& predictions, const TransitionBatch& rows,
                                   std::span<const double> sds) {
  PredictionQuality quality;
  if (static_cast<int64_t>(sds.size()) != rows.obs_dim + 1) return quality;
  const std::vector<double> disagreements = Disagreements(predictions, rows.obs_dim, sds);
  Scores scores;
  double squares = 0;
  for (int64_t row = 0; row < rows.size(); ++row) {
    if (!RowIsFinite(predictions, row, rows.obs_dim)) continue;
    scores.squared = 0;
    scores.outputs = 0;
    for (int64_t j = 0; j <= rows.obs_dim; ++j) {
      if (sds[j] > 0) AddOutput(predictions, rows, row, j, sds, &scores);
    }
    if (scores.outputs == 0) continue;
    const double squared = scores.squared / scores.outputs;
    squares += squared;
    quality.errors.push_back(std::sqrt(squared));
    quality.disagreements.push_back(disagreements[row]);
  }
  quality.nll = MeanAndError(scores.nll).mean;
  quality.crps = MeanAndError(scores.crps).mean;
  quality.calibration = coadaptation::CalibrationError(scores.transforms);
  quality.coverage = coadaptation::Coverage90(scores.transforms);
  if (!quality.errors.empty()) {
    quality.rmse = std::sqrt(squares / static_cast<double>(quality.errors.size()));
  }
  return quality;
}

absl::Status FillPredictions(const Material& material, const TransitionBatch& fresh,
                             const ElitePredictions& predictions,
                             const ElitePredictions& predicted_heldout,
                             coadaptation::Checkpoint* checkpoint) {
  const std::vector<double>& sds = material.world.output_sds;
  dynamics::DynamicsModel& model = *material.model.model;
  TANDEM_ASSIGN_OR_RETURN(
      const ElitePredictions predicted_train,
      PredictElites(model, material.train.observations, material.train.actions));
  const PredictionQuality onpolicy = JudgePredictions(predictions, fresh, sds);
  const PredictionQuality heldout = JudgePredictions(predicted_heldout, material.heldout, sds);
  const PredictionQuality train = JudgePredictions(predicted_train, material.train, sds);
  checkpoint->nll_onpolicy = onpolicy.nll;
  checkpoint->nll_heldout = heldout.nll;
  checkpoint->nll_train = train.nll;
  checkpoint->error_onpolicy = onpolicy.rmse;
  checkpoint->error_heldout = heldout.rmse;
  checkpoint->error_ratio = coadaptation::ErrorRatio(onpolicy.rmse, heldout.rmse);
  checkpoint->disagreement_real = MeanAndError(onpolicy.disagreements).mean;
  checkpoint->visibility = coadaptation::RankCorrelation(onpolicy.disagreements, onpolicy.errors);
  checkpoint->calibration_onpolicy = onpolicy.calibration;
  checkpoint->calibration_heldout = heldout.calibration;
  checkpoint->coverage_onpolicy = onpolicy.coverage;
  checkpoint->coverage_heldout = heldout.coverage;
  checkpoint->crps_onpolicy = onpolicy.crps;
  checkpoint->crps_heldout = heldout.crps;
  return absl::OkStatus();
}

}  // namespace tandem::monitor
