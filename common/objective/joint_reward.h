#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/nn/safetensors.h"
#include "common/objective/positive_reward.h"

namespace tandem::objective {

/// Where the weight of the log-ratio comes from.
enum class RatioWeight {
  kFixed,   ///< `weight`.
  kLinear,  ///< From `weight` to `weight_end` over `ramp_updates` updates, then `weight_end`.
  kDual,    ///< From `weight` on, a multiplier that holds the divergence at a target.
};

struct JointRewardOptions {
  double discount = 0.99;  ///< g, in [0, 1).
  /// Whether the logarithm of the reward is paid. Without it rewards are paid as they are, need not
  /// be positive and are not shifted: no bound, and the weight is in reward units a nat, but often
  /// the better task where rewards are costs.
  bool log_reward = true;

  /// How rewards are made positive, because the bound needs that, and the unit of kExp and
  /// kSoftplus [reward], > 0; 1 with kShift.
  RewardTransform transform = RewardTransform::kShift;
  double reward_scale = 1;
  /// kShift: added to each reward; 0 with the others. With shift_from_data at least so
  /// much, and enough to make the smallest real reward seen so far min_reward; else as given, and a
  /// real reward that is below min_reward with it is an error.
  double reward_shift = 0;
  bool shift_from_data = false;
  /// Smallest positive reward, > 0: imagined rewards below it are raised to it, since a model's
  /// noise may reach below every real one; a real one below it is an error. Nothing: 0.001 with
  /// kShift, no bound with the others.
  std::optional<double> min_reward;
  /// Positive reward that a terminal state counts as paying for ever, > 0. 1 leaves equation (1) as
  /// it is: a terminal state is worth 0, and log 1 = 0. Where episodes end in failure set it to the
  /// worst (min_reward), or an agent that lives on a reward of 1 gains nothing by living.
  double terminal_reward = 1;

  RatioWeight kind = RatioWeight::kFixed;
  /// w, >= 0. 1 is the published bound, g a tighter one; less is a looser tax, no bound but often
  /// better: w times the usual -log-ratio times the length of a path should stay well below the
  /// value that the path leads to.
  double weight = 0.2;
  double weight_end = 0.2;
  int64_t ramp_updates = 0;
  /// kDual: w rises while the divergence of imagined rows exceeds the target and falls below it
  /// [nats a step], > 0. Stays within [min_weight, max_weight], min_weight > 0.
  double target_divergence = 0.1;
  double weight_lr = 3e-4;  ///< Adam's, on log w.
  /// Factor on weight_lr where w falls, in (0, 1]. A policy that keeps to what is real leaves the
  /// target unused, w falls, and what it kept away from pays again: with less than 1 it does so
  /// later. The divergence is then held below the target rather than at it.
  double weight_fall = 1;
  double min_weight = 0.02;
  double max_weight = 1;
  /// Updates before the ratio is paid, >= 0: until then the weight in force is 0, and what moves it
  /// stands still.
  int64_t warmup_updates = 0;
};

/// The reward of the joint objective, equation (1) of docs/algorithms.md, with a weight w (without
/// log_reward, the first term is r alone) and without its constant - (1 - g) log(1 - g), which
/// changes no policy where nothing terminates and elsewhere is a bonus for being alive:
///   r~ = (1 - g) log(r+ / terminal_reward) + w * log-ratio,
/// where r+ is PositiveReward's, r + shift unless another transform is asked for.
/// Imagined rows pay their log-ratio (log_ratio.h), real ones have none: 0. Rewards and log-ratios
/// are kept as they are and combined when a batch is drawn, since shift and weight move on.
///
/// Not thread-safe. Costs a logarithm for each row.
class JointReward {
 public:
  /// INVALID_ARGUMENT on options out of range.
  static absl::StatusOr<JointReward> Create(const JointRewardOptions& options);

  /// Shows it real rewards: moves the shift where that comes from data (it only ever grows).
  /// INVALID_ARGUMENT where one stays below min_reward with a shift that was given, or with another
  /// transform, saying what would do; or where one is not finite.
  absl::Status Observe(std::span<const float> real_rewards);

  /// rewards: [B], in place. log_ratios: [B] clipped, 0 for real rows; empty: all 0.
  void Augment(std::span<const float> log_ratios, std::span<float> rewards) const;

  /// After each update of the policy: moves the weight. divergence: minus the mean log-ratio of the
  /// batch's imagined rows [nats]; only kDual reads it, and a batch without such rows must not
  /// call.
  void Advance(double divergence);

  /// In force.
  double weight() const { return updates_ < options_.warmup_updates ? 0 : weight_; }
  double shift() const { return positive_.shift; }
  const PositiveReward& positive() const { return positive_; }

  /// What is paid for reward r alone, without log-ratio: for tests and reports.
  double Paid(double reward) const;

  /// Stores and restores shift, weight and its moments in the metadata ("joint_reward.*").
  void SaveState(nn::TensorFile* file) const;
  absl::Status LoadState(const nn::TensorFile& file);

 private:
  explicit JointReward(const JointRewardOptions& options);

  absl::Status CheckSmallest(double smallest) const;

  JointRewardOptions options_;
  PositiveReward positive_;
  double weight_;                  // after the warm-up
  double first_ = 0, second_ = 0;  // Adam's moments of log w
  int64_t updates_ = 0;
};

}  // namespace tandem::objective
