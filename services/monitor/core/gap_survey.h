#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/coadaptation/checkpoint.h"
#include "common/data/batch.h"
#include "services/monitor/core/material.h"

namespace tandem::monitor {

/// Model and real returns of some episodes from the same start states over the same horizon; one
/// entry for each episode that was compared.
struct PairedReturns {
  std::vector<double> model;
  std::vector<double> real;
};

/// Why episodes were not compared.
enum class PairOutcome { kCompared, kPolicyGone, kPolicyNotYet, kTooLong };

/// Plays each episode again in the model, from its start state, by the policies that acted in it,
/// step for step (the held ones with the nearest numbers of updates), with the same kind of
/// actions; mean of several rollouts. At most the newest 20 episodes are compared. Bounded by
/// options.model_steps: where episodes * rollouts * horizon is more, first the rollouts are cut,
/// then the oldest episodes. The horizon (max_episode_steps; 0: the longest episode's length) is
/// never cut, for the real return over another one is not known; where it alone is beyond the bound
/// nothing is compared: kTooLong. Episodes with a policy for which none is held within
/// options.updates_tolerance are left out; where none is left the outcome says whether the newest
/// one's is gone or still to come.
absl::StatusOr<PairedReturns> PairReturns(const HeldModel& model, const PolicyHistory& policies,
                                          std::span<const Episode> episodes,
                                          int64_t max_episode_steps, const SurveyOptions& options,
                                          Rng& rng, const std::function<bool()>& cancelled,
                                          PairOutcome* outcome);

/// Fills gap_episode, its error and parts, model_return and real_return from the training episodes
/// of the material. NaN where a rollout was not finite.
absl::Status FillPairedGap(const Material& material, const SurveyOptions& options, Rng& rng,
                           coadaptation::Checkpoint* checkpoint);

/// Fills gap_5, gap_25 and gap_100: up to 50 windows of k steps inside one episode, spread over the
/// fresh steps; in the model, from the window's first state, the same policies act as in the
/// window, step for step, against its real rewards. A window that ends in a terminal state is a
/// whole one, however short; one with a policy that is held no longer does not count. NaN where a
/// rollout was not finite.
absl::Status FillBranchedGaps(const Material& material, const SurveyOptions& options, Rng& rng,
                              coadaptation::Checkpoint* checkpoint);

/// Fills open_loop_*: from up to 50 fresh states the elites' mean prediction is fed back, under the
/// actions that were taken; the median distance to where the world went.
absl::Status FillOpenLoop(const Material& material, coadaptation::Checkpoint* checkpoint);

/// Fills improvement_agreement: the share of the elites in which the policy returns more than the
/// one at the last fit did, from 8 fresh states over at most 100 steps, both deterministic and in
/// the elite's mean (after Kurutach et al. 2018); a tie counts half. NaN where they are one policy,
/// or a return is not finite.
absl::Status FillAgreement(const Material& material, coadaptation::Checkpoint* checkpoint);

}  // namespace tandem::monitor
