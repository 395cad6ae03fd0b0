#pragma once

#include <limits>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/coadaptation/checkpoint.h"
#include "common/data/batch.h"
#include "common/dynamics/dynamics_model.h"
#include "services/monitor/core/material.h"

namespace tandem::monitor {

/// What each elite predicts for the same rows, best first.
using ElitePredictions = std::vector<dynamics::MemberPrediction>;

/// observations: [B, obs_dim]; actions: [B, action_dim].
absl::StatusOr<ElitePredictions> PredictElites(dynamics::DynamicsModel& model,
                                               std::span<const float> observations,
                                               std::span<const float> actions);

/// Mean over the elites of the reward, [B]. Pure.
std::vector<double> MeanRewards(const ElitePredictions& predictions);

/// Standard deviation between the elites' means for each row, in standard deviations of the outputs
/// (the changes of the observation, then the reward), root mean square over outputs; outputs with
/// sd 0 are left out. 0 for one elite; NaN where no output varies. sds: [obs_dim + 1]. Pure.
std::vector<double> Disagreements(const ElitePredictions& predictions, int64_t obs_dim,
                                  std::span<const double> sds);

/// How well a model predicts some real steps, one step ahead.
struct PredictionQuality {
  double nll = std::numeric_limits<double>::quiet_NaN();   ///< Mean over elites [nats a dimension],
                                                           ///< outputs in standard deviations.
  double rmse = std::numeric_limits<double>::quiet_NaN();  ///< Of the elites' mean, likewise.
  double calibration = std::numeric_limits<double>::quiet_NaN();  ///< Of the elites' mixture.
  double coverage = std::numeric_limits<double>::quiet_NaN();     ///< Of the mixture.
  double crps = std::numeric_limits<double>::quiet_NaN();         ///< Mean over elites.
  std::vector<double> errors;         ///< [kept rows] root mean square over outputs
  std::vector<double> disagreements;  ///< [kept rows]
};

/// Rows whose prediction is not finite are left out; all NaN and empty where none is left. An
/// output that an elite predicts without spread, such as a known reward, counts in rmse and crps
/// alone. Pure.
PredictionQuality JudgePredictions(const ElitePredictions& predictions, const TransitionBatch& rows,
                                   std::span<const double> sds);

/// Fills nll_*, error_*, disagreement_real, visibility, calibration_*, coverage_* and crps_*.
/// fresh: the steps to score. predictions, heldout: what the elites predict for them and for the
/// held-out steps.
absl::Status FillPredictions(const Material& material, const TransitionBatch& fresh,
                             const ElitePredictions& predictions, const ElitePredictions& heldout,
                             coadaptation::Checkpoint* checkpoint);

}  // namespace tandem::monitor
