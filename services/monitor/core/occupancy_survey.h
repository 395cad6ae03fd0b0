#pragma once

#include "absl/status/status.h"
#include "common/base/rng.h"
#include "common/coadaptation/checkpoint.h"
#include "services/monitor/core/material.h"

namespace tandem::monitor {

/// Imagines as the run does, with the policy of the material, from fresh states spread over the
/// checkpoint, for the horizon in force (5 where it is not known), and holds where that leads
/// against the fresh steps. The imagined steps that count begin in an imagined state, so each
/// rollout has one step more, whose state is real and which is left out.
///
/// Fills c2st_auc, mmd, effective_sample_share, policy_shift, reward_range, disagreement_imagined
/// and disagreement_ratio (disagreement_real must be filled before).
absl::Status FillOccupancy(const Material& material, const SurveyOptions& options, Rng& rng,
                           coadaptation::Checkpoint* checkpoint);

}  // namespace tandem::monitor
