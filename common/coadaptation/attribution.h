#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/coadaptation/checkpoint.h"
#include "common/coadaptation/knob.h"

namespace tandem::coadaptation {

/// Every constant of attribution and mitigation. Shares are in units of the return scale S.
struct MitigationOptions {
  // What the figures say about the cause.
  double growth = 0.01;         ///< Growth of the logarithm of the open-loop error a step, above
                                ///< which the horizon is to blame [1/step].
  double safe_error = 0.5;      ///< Open-loop error up to which a horizon is safe.
  double residual_limit = 0.5;  ///< |residual| above which the critic is to blame, not the horizon.
  double visible = 0.3;         ///< Visibility above which pessimism sees the errors.
  double undervalued = -0.2;    ///< Value bias below which the critic undersells the policy: no
                                ///< more pessimism.
  double blind = 0.1;           ///< Visibility below which the ensemble does not.
  double coverage_low = 0.8;    ///< Of the 90 % interval: the model is confidently wrong.
  double age_high = 1.5;        ///< Model's age over the checkpoint's fresh steps: a fit is missed.
  double sample_share_low = 0.1;    ///< Imagined data is off the real data's support (for texts).
  double updates_high = 20;         ///< Update-to-data ratio.
  double reward_part = 0.5;         ///< Of the index: the reward dominates.
  double reward_range_high = 1.5;   ///< Imagined rewards beyond real ones: clamp ...
  double reward_range_low = 1.2;    ///< ... until it is below this.
  double policy_shift_large = 0.5;  ///< Since the last fit [nats].
  double agreement_low = 0.7;       ///< Members that see the policy improve: pause ...
  double agreement_high = 0.8;      ///< ... until it is above this.
  double occupancy_high = 0.75;     ///< c2st_auc at which more varied data is worth having.

  // How far a knob goes in one step, and at most.
  double real_share_back = 0.1;  ///< The way back, from 1.
  double pessimism_first = 0.5;  ///< From 0; doubled then.
  double pessimism_most = 8;
  double updates_of_real = 1;    ///< A step that soft actor-critic learns from real steps with.
  double updates_least = 0.125;  ///< Of the recipe's updates per step; also the way back.
  double collection_step = 0.02;
  double collection_most = 0.1;
  double return_lost = 0.25;    ///< Real return lost since the last clean policy to go back to it.
  double return_slack = 0.05;   ///< A checkpoint's return below what it was is no loss up to here.
  double return_relapse = 0.2;  ///< Beyond this sum of losses the way back was one too far.
  int refits_most = 2;          ///< Before members are reset, in one alarm.
  int resets_most = 3;          ///< In one alarm, one member each.
  int pause_most = 3;           ///< Checkpoints: only updates can change the policy.
  int warnings_before_collection = 3;  ///< In a row.
};

/// A knob worth turning, and why.
struct Candidate {
  Knob knob = Knob::kRolloutHorizon;
  bool attributed = false;  ///< A figure speaks for it; else it is next on the ladder.
  std::string reason;
};

/// Knobs against exploitation in the order in which to try them: first those that a figure speaks
/// for, then the rest of the ladder, both in this order:
///   refit             first where the model was not fitted when it should have been
///   real_share        the confirmed alarm speaks for it: imagined steps do harm, so the policy
///                     learns from real steps alone while the cause is looked for
///   reward_clamp      only where the reward part dominates and imagined rewards exceed real ones
///   rollout_horizon   the open-loop error grows with the horizon; never while the critic's
///                     residual is large, since shorter rollouts lean on the critic more
///   pessimism         only where disagreement sees the errors; never while the critic undersells
///                     the policy
///   refit             disagreement is blind to them, or the model is confidently wrong
///   member_reset      the same
///   updates_per_step  many updates a step
///   policy_pause      only where the policy shifted far, and the members do not agree that it
///                     improved
/// Limits, and what was tried already, are the Controller's business. Pure.
std::vector<Candidate> Attribute(const Checkpoint& checkpoint, const MitigationOptions& options);

/// Why a warning calls for more varied data: the policy goes where the data is not, without harm so
/// far. Empty where it does not. Pure.
std::string WhyCollect(const Checkpoint& checkpoint, const MitigationOptions& options);

/// One step against exploitation from `value`: multiplicative, the real share to 1 at once; nullopt
/// where the knob is at its limit. Pure.
std::optional<double> Tighten(Knob knob, double value, double recipe, const Checkpoint& checkpoint,
                              const MitigationOptions& options);
/// Less pessimism, for a model that undersells the policy: half of `value`, 0 where that is hardly
/// any; nullopt where there is none. Pure.
std::optional<double> HalvePessimism(double value, const MitigationOptions& options);
/// One step back from `value`: additive (pessimism is halved); nullopt: back at the recipe's. Pure.
std::optional<double> Relax(Knob knob, double value, double recipe,
                            const MitigationOptions& options);

/// Where a receiver goes when it hears nothing more: the value in force, but for a pause and for
/// random actions, which nobody would end. Pure.
double SafeValue(Knob knob, double value);

/// Knobs whose value counts requests, and so only grows: nothing to take back.
bool IsCount(Knob knob);

}  // namespace tandem::coadaptation
