#pragma once

#include "absl/status/statusor.h"
#include "common/nn/safetensors.h"
#include "common/objective/log_ratio.h"
#include "common/objective/positive_reward.h"

namespace tandem::objective {

/// The terms of the joint reward that a policy was trained on, as its snapshots state them for
/// those who judge it: its critics value this reward and not the environment's. Plain data; see
/// JointRewardOptions for the fields.
struct JointTerms {
  double discount = 0.99;
  bool log_reward = true;
  PositiveReward reward;  ///< What the bound is on, for one step: the shift in force.
  double weight = 0.2;    ///< In force.
  /// Without its tolerance, which is not written: log-ratios and bound are judged whole, though the
  /// policy is let off so much of each.
  LogRatioOptions ratio;

  /// Writes the metadata "joint.*".
  void Export(nn::TensorFile* file) const;
  /// NOT_FOUND where the policy is trained on the environment's reward; INVALID_ARGUMENT where a
  /// number is out of range.
  static absl::StatusOr<JointTerms> Import(const nn::TensorFile& file);
};

}  // namespace tandem::objective
