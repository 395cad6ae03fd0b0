#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/batch.h"
#include "common/metrics/registry.h"
#include "common/nn/safetensors.h"
#include "common/objective/joint_reward.h"
#include "common/objective/log_ratio.h"
#include "common/objective/state_classifier.h"

namespace tandem::policy_trainer {

/// How the policy is paid where it is trained on the joint objective.
struct JointOptions {
  objective::JointRewardOptions reward;
  objective::LogRatioOptions ratio;
  /// How states that the world does not reach are priced beside; nothing: they are not.
  std::optional<objective::StateClassifierOptions> states;
};

/// Turns the rewards of a batch into those of the joint objective, owns the weight of the log-ratio
/// (the dual variable) and the shift of the reward, and tells of both.
///
///   std::span<float> ratios = joint.Ratios(batch.size());   // then fill in those of imagined rows
///   joint.Pay(&batch, real_rows);
///   if (learner.Update(batch).ok()) joint.Updated();
///
/// Not thread-safe. The registry outlives it.
class JointPayment {
 public:
  /// INVALID_ARGUMENT on options out of range.
  static absl::StatusOr<std::unique_ptr<JointPayment>> Create(const JointOptions& options,
                                                              metrics::Registry& registry);

  /// Shows it real rewards. INVALID_ARGUMENT where the shift that was given leaves one that is not
  /// positive: says which would do; then refused() says it for good.
  absl::Status Observe(std::span<const float> real_rewards);
  const absl::Status& refused() const { return refused_; }

  /// Log-ratios of the next batch, one for each row: all 0.
  std::span<float> Ratios(int64_t rows);
  /// Replaces the rewards of the batch; the first `real_rows` rows are real.
  void Pay(TransitionBatch* batch, int64_t real_rows);
  /// The batch that was paid went into an update: moves the weight.
  void Updated();
  /// Exports what is in force. pool: of all imagined rows.
  void Show(const objective::LogRatioFigures& pool);

  /// States the terms in a policy snapshot: objective::JointTerms.
  void Describe(nn::TensorFile* snapshot) const;
  void Save(nn::TensorFile* state) const { reward_.SaveState(state); }
  absl::Status Load(const nn::TensorFile& state);

  double weight() const { return reward_.weight(); }
  double shift() const { return reward_.shift(); }

 private:
  JointPayment(const JointOptions& options, objective::JointReward reward,
               metrics::Registry& registry);

  const JointOptions options_;
  objective::JointReward reward_;
  metrics::Gauge& weight_gauge_;
  metrics::Gauge& shift_gauge_;
  metrics::Gauge& divergence_;
  metrics::Gauge& state_price_;
  metrics::Gauge& clipped_low_;
  metrics::Gauge& clipped_high_;
  absl::Status refused_;
  std::vector<float> ratios_;
  int64_t real_rows_ = 0;  // of the batch that was paid last
};

}  // namespace tandem::policy_trainer
