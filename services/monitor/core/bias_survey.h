#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/coadaptation/checkpoint.h"
#include "services/monitor/core/material.h"
#include "services/monitor/core/prediction_survey.h"
#include "services/monitor/core/transition_scorer.h"

namespace tandem::monitor {

/// Steps that did not count.
struct BiasCounts {
  int64_t scored = 0;
  int64_t nonfinite = 0;
  int64_t clipped = 0;
};

/// Fills the index, its parts, error, held-out twin, unsigned_index, residual, block_steps,
/// scored_steps and clipped_share. fresh: the steps to score, by episode. predictions, heldout:
/// what the elites predict for them and for the held-out steps. Steps whose bias is not finite are
/// left out; one beyond options.bias_bound * S is scaled to the bound; clipped_share counts both.
/// Where S is not known every share is NaN.
absl::Status FillBias(const Material& material, const SurveyOptions& options,
                      const TransitionBatch& fresh, const ElitePredictions& predictions,
                      const ElitePredictions& heldout, TransitionScorer& scorer,
                      coadaptation::Checkpoint* checkpoint, BiasCounts* counts);

/// Fills value_bias and value_bias_sd: Q(s, a) minus the discounted return to go, over the steps of
/// `fresh` whose return to go is known but for a fifth of its weight at most; that rest is the
/// critic's own value. Soft critics count the entropy bonus as value; it is part of this bias.
absl::Status FillValueBias(const Material& material, const TransitionBatch& fresh,
                           TransitionScorer& scorer, coadaptation::Checkpoint* checkpoint);

}  // namespace tandem::monitor
