#pragma once

#include "absl/status/status.h"
#include "common/base/rng.h"
#include "common/coadaptation/checkpoint.h"
#include "services/monitor/core/material.h"

namespace tandem::monitor {

/// Fills the figures of the joint objective (docs/algorithms.md) where the material's model has a
/// classifier and its policy states the terms that it is trained on; else leaves them NaN:
///   classifier_accuracy  on held-out steps against the model's samples at the same (s, a)
///   log_ratio_*          mean clipped log-ratio of imagined steps by depth, from fresh states,
///                        without objective.logit_tolerance
///   log_ratio_clipped    share of those at a bound
///   joint_bound          equation (2) over a finite horizon T, from the starts of fresh episodes,
///                        with the clipped log-ratio at weight 1, without the tolerance [nats]
///   joint_log_return     the logarithm of what those episodes paid over T, in the same terms: the
///                        mean over episodes of their discounted sums of positive rewards
///   joint_horizon        T [env steps]
///
/// Those episodes are the ones that began early enough for T fresh steps of their environment to
/// follow, however they ended. Short ones would else count more often. How many environments there
/// are is taken from how many episodes overlap.
///
/// T is where the discount has left 2 %, at most max_episode_steps or 1000. Where no fresh episode
/// is known over so many steps, which is the rule where they are more than a checkpoint has, T is
/// half of an environment's fresh steps, and an episode counts from its first fresh step on, in the
/// middle as well: equation (2) holds from any state. NaN where that is less than one step, too.
/// Over T the bound reads
///   log c + E_q sum_t [ g^t log rho_t + (g^t - g^T) / (1 - g) ratio_t ] / c,  c = (1 - g^T)/(1 -
///   g)
/// with rho the positive reward of JointTerms, whichever way it is made positive. Both work on
/// logarithms, so that exp(r) of a large r overflows nowhere. Bounded by options.model_steps / 6.
absl::Status FillJoint(const Material& material, const SurveyOptions& options, Rng& rng,
                       coadaptation::Checkpoint* checkpoint);

}  // namespace tandem::monitor
