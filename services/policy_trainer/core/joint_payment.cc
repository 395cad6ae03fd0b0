#include "services/policy_trainer/core/joint_payment.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/objective/joint_terms.h"

namespace tandem::policy_trainer {
namespace {

constexpr char kClippedHelp[] =
    "Share of imagined steps whose log-ratio was at a bound; at the lower one also where it is "
    "nearly the least that the classifier can say.";

}  // namespace

absl::StatusOr<std::unique_ptr<JointPayment>> JointPayment::Create(const JointOptions& options,
                                                                   metrics::Registry& registry) {
  TANDEM_RETURN_IF_ERROR(objective::Validate(options.ratio));
  TANDEM_ASSIGN_OR_RETURN(objective::JointReward reward,
                          objective::JointReward::Create(options.reward));
  return std::unique_ptr<JointPayment>(new JointPayment(options, std::move(reward), registry));
}

JointPayment::JointPayment(const JointOptions& options, objective::JointReward reward,
                           metrics::Registry& registry)
    : options_(options),
      reward_(std::move(reward)),
      weight_gauge_(registry.AddGauge("tandem_policy_trainer_ratio_weight",
                                      "Weight of the log-ratio in the joint reward.")),
      shift_gauge_(registry.AddGauge("tandem_policy_trainer_reward_shift",
                                     "Added to each reward before its logarithm is paid.")),
      divergence_(
          registry.AddGauge("tandem_policy_trainer_divergence_nats",
                            "Mean price of an imagined step in the pool: minus its log-ratio, "
                            "beyond the tolerance.")),
      state_price_(registry.AddGauge("tandem_policy_trainer_state_price_nats",
                                     "The part of that price which is for the states that steps "
                                     "end in.")),
      clipped_low_(registry.AddGauge("tandem_policy_trainer_logit_clipped_ratio", kClippedHelp,
                                     {{"bound", "lower"}})),
      clipped_high_(registry.AddGauge("tandem_policy_trainer_logit_clipped_ratio", kClippedHelp,
                                      {{"bound", "upper"}})) {
  weight_gauge_.Set(weight());
  shift_gauge_.Set(shift());
}

absl::Status JointPayment::Observe(std::span<const float> real_rewards) {
  const double before = shift();
  const absl::Status status = reward_.Observe(real_rewards);
  if (!status.ok()) refused_ = status;
  if (shift() != before) {
    LogInfo(absl::StrFormat("rewards are shifted by %g: the smallest real one is %g", shift(),
                            reward_.positive().min_reward - shift()));
    shift_gauge_.Set(shift());
  }
  return status;
}

std::span<float> JointPayment::Ratios(int64_t rows) {
  ratios_.assign(rows, 0);
  return ratios_;
}

void JointPayment::Pay(TransitionBatch* batch, int64_t real_rows) {
  real_rows_ = real_rows;
  reward_.Augment(ratios_, batch->rewards);
}

void JointPayment::Updated() {
  const int64_t imagined = static_cast<int64_t>(ratios_.size()) - real_rows_;
  if (imagined == 0) return;
  const double sum = std::accumulate(ratios_.begin() + real_rows_, ratios_.end(), 0.0);
  reward_.Advance(-sum / static_cast<double>(imagined));
}

void JointPayment::Show(const objective::LogRatioFigures& pool) {
  weight_gauge_.Set(weight());
  if (pool.rows == 0) return;
  divergence_.Set(pool.divergence());
  state_price_.Set(pool.state_price());
  clipped_low_.Set(pool.lower_share());
  clipped_high_.Set(pool.upper_share());
}

void JointPayment::Describe(nn::TensorFile* snapshot) const {
  objective::JointTerms{.discount = options_.reward.discount,
                        .log_reward = options_.reward.log_reward,
                        .reward = reward_.positive(),
                        .weight = weight(),
                        .ratio = options_.ratio}
      .Export(snapshot);
}

absl::Status JointPayment::Load(const nn::TensorFile& state) {
  TANDEM_RETURN_IF_ERROR(reward_.LoadState(state));
  weight_gauge_.Set(weight());
  shift_gauge_.Set(shift());
  return absl::OkStatus();
}

}  // namespace tandem::policy_trainer
