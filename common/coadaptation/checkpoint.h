#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>

namespace tandem::coadaptation {

/// Horizons of the family of return gaps [steps]; the whole episode comes beside them.
inline constexpr std::array<int, 3> kGapHorizons = {5, 25, 100};
/// Horizons of the open-loop error [steps].
inline constexpr std::array<int, 4> kOpenLoopHorizons = {1, 5, 10, 20};

/// Everything the monitor found out about one checkpoint: one published model, the policy that
/// trained in it, and the fresh steps taken meanwhile (those that the model has not seen). It is
/// the unit of dependence: all its figures share one model and one critic.
///
/// NaN: not known. Shares ("ratio" of a gap or a bias) are in units of the return scale S.
/// CheckpointFields() names every number once, for files, pages and tests.
struct Checkpoint {
  static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

  // Where it stands.
  double number = kNaN;           ///< 1 for the first model, then one more for each judged.
  double env_steps = kNaN;        ///< Training steps when it was judged [steps].
  double model_env_steps = kNaN;  ///< Training steps when the model was fitted [steps].
  double policy_updates = kNaN;   ///< Updates in the newest policy [updates].
  double model_version = kNaN;
  double policy_version = kNaN;
  double fresh_steps = kNaN;     ///< Fresh steps behind it [steps].
  double fresh_episodes = kNaN;  ///< Fresh episodes that ended in it.
  double wall_seconds = kNaN;    ///< Unix time when it was judged [s].

  // Signed bias of the model's backup, b / ((1 - discount) S), and the critic's residual, likewise.
  double index = kNaN;
  double index_reward = kNaN;
  double index_dynamics = kNaN;
  double index_termination = kNaN;
  double index_error = kNaN;     ///< Standard error of the index, see DiscountedMeanError().
  double index_heldout = kNaN;   ///< The index on held-out steps; index - this is selection.
  double unsigned_index = kNaN;  ///< Mean of |b|, likewise.
  double residual = kNaN;
  double block_steps = kNaN;  ///< Length of a block: 10 autocorrelation times of b, >= 50 [steps].
  /// Steps behind the index: of fresh_steps those that were scored and finite [steps].
  double scored_steps = kNaN;
  /// Share of the steps to score whose b was clipped at the bound, or was not finite and left out.
  double clipped_share = kNaN;

  // Gaps by horizon: model return minus real return from the same real states, in units of S; a
  // branched gap over k steps is scaled by (mean episode length / k).
  double gap_5 = kNaN;
  double gap_25 = kNaN;
  double gap_100 = kNaN;
  double gap_episode = kNaN;        ///< Whole training episodes, paired by start state.
  double gap_episode_error = kNaN;  ///< Standard error over episodes.
  // For the evidence: means of five parts of the episodes, in order, as alike in size as can be; of
  // each episode where there are fewer. NaN where there is none, and where there is one episode.
  double gap_episode_1 = kNaN;
  double gap_episode_2 = kNaN;
  double gap_episode_3 = kNaN;
  double gap_episode_4 = kNaN;
  double gap_episode_5 = kNaN;
  double score = kNaN;           ///< See ExploitationScore().
  double gap_evaluation = kNaN;  ///< The same for the newest evaluation.

  // Returns.
  double model_return = kNaN;
  double real_return = kNaN;
  double evaluation_return = kNaN;
  double return_scale = kNaN;
  double value_bias = kNaN;        ///< (Q(s, a) - return to go) / S on fresh episodes, mean.
  double value_bias_sd = kNaN;     ///< Its standard deviation.
  double rank_correlation = kNaN;  ///< Spearman of model and real return over the last policies.

  // The model's errors.
  double nll_onpolicy = kNaN;  ///< [nats a dimension]
  double nll_heldout = kNaN;
  double nll_train = kNaN;
  double error_onpolicy = kNaN;  ///< RMSE in standard deviations of each output.
  double error_heldout = kNaN;
  double error_ratio = kNaN;
  double error_per_nat = kNaN;  ///< Slope of error_onpolicy over policy_shift, recent checkpoints.
  double open_loop_1 = kNaN;
  double open_loop_5 = kNaN;
  double open_loop_10 = kNaN;
  double open_loop_20 = kNaN;
  double disagreement_imagined = kNaN;
  double disagreement_real = kNaN;
  double disagreement_ratio = kNaN;  ///< imagined / real
  double visibility = kNaN;          ///< Spearman of disagreement and error on fresh steps.
  double calibration_onpolicy = kNaN;
  double calibration_heldout = kNaN;
  double coverage_onpolicy = kNaN;
  double coverage_heldout = kNaN;
  double crps_onpolicy = kNaN;
  double crps_heldout = kNaN;
  double reward_range = kNaN;  ///< See RewardRange(): about 1; 2: one range of real rewards above.

  // Where the policy goes.
  double c2st_auc = kNaN;
  double mmd = kNaN;  ///< Over its 95 % permutation quantile.
  double effective_sample_share = kNaN;
  double policy_shift = kNaN;           ///< KL since the last fit [nats].
  double improvement_agreement = kNaN;  ///< Share of members that see the newest policy improve.

  // The joint objective; NaN without it.
  double classifier_accuracy = kNaN;  ///< On held-out steps; 0.5: model and world look the same.
  double log_ratio_1 = kNaN;          ///< Mean clipped log-ratio of imagined steps by depth [nats].
  double log_ratio_5 = kNaN;
  double log_ratio_10 = kNaN;
  double log_ratio_20 = kNaN;
  double log_ratio_clipped = kNaN;  ///< Share of those at a bound.
  double joint_bound = kNaN;        ///< On joint_log_return, estimated in the model [nats].
  double joint_log_return = kNaN;   ///< Logarithm of the discounted real return [nats].
  double joint_horizon = kNaN;      ///< That both are taken over [env steps].
  double ratio_weight = kNaN;       ///< Of the log-ratio, in force.

  // What was in force.
  double policy_lag = kNaN;  ///< [updates] mean over fresh steps
  double model_age = kNaN;   ///< [env steps]
  double real_share = kNaN;
  double update_to_data = kNaN;
  double horizon = kNaN;  ///< [steps]
  double pessimism = kNaN;
  double truncated_share = kNaN;  ///< Imagined rollouts cut for uncertainty.
};

/// The parts of gap_episode.
inline constexpr std::array<double Checkpoint::*, 5> kEpisodeParts = {
    &Checkpoint::gap_episode_1, &Checkpoint::gap_episode_2, &Checkpoint::gap_episode_3,
    &Checkpoint::gap_episode_4, &Checkpoint::gap_episode_5};

/// A number of a checkpoint by name.
struct CheckpointField {
  const char* name;  ///< As the member is called.
  double Checkpoint::*member;
};
std::span<const CheckpointField> CheckpointFields();

}  // namespace tandem::coadaptation
