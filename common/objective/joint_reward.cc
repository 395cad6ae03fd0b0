#include "common/objective/joint_reward.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace tandem::objective {
namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;  // Adam's
constexpr double kTolerance = 1e-6;                              // of rewards in single precision
constexpr double kLeastShifted = 0.001;

absl::Status Check(const JointRewardOptions& o) {
  const auto bad = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("joint reward: expected ", what));
  };
  if (!(o.discount >= 0 && o.discount < 1)) return bad("0 <= discount < 1");
  if (!std::isfinite(o.reward_shift)) return bad("a finite reward_shift");
  if (o.min_reward && !(*o.min_reward > 0)) return bad("min_reward > 0");
  if (o.transform == RewardTransform::kShift) {
    if (o.reward_scale != 1) return bad("reward_scale 1 where rewards are shifted");
  } else {
    if (!(o.reward_scale > 0) || !std::isfinite(o.reward_scale)) return bad("reward_scale > 0");
    if (o.reward_shift != 0 || o.shift_from_data) return bad("a shift with kShift alone");
    if (!o.log_reward) return bad("log_reward with another transform than kShift");
  }
  if (!(o.terminal_reward > 0)) return bad("terminal_reward > 0");
  if (!(o.weight >= 0) || !(o.weight_end >= 0)) return bad("weights >= 0");
  if (o.ramp_updates < 0) return bad("ramp_updates >= 0");
  if (!(o.min_weight > 0 && o.min_weight <= o.max_weight)) {
    return bad("0 < min_weight <= max_weight");
  }
  if (!(o.target_divergence > 0)) return bad("target_divergence > 0");
  if (!(o.weight_lr >= 0)) return bad("weight_lr >= 0");
  if (o.warmup_updates < 0) return bad("warmup_updates >= 0");
  if (!(o.weight_fall > 0 && o.weight_fall <= 1)) return bad("0 < weight_fall <= 1");
  return absl::OkStatus();
}

/// At least x (but for rounding), with nine significant digits.
double RoundedUp(double x) {
  if (x == 0) return 0;
  const double unit = std::pow(10, std::floor(std::log10(std::abs(x))) - 8);
  return std::ceil(x / unit - 1e-3) * unit;
}

}  // namespace

absl::StatusOr<JointReward> JointReward::Create(const JointRewardOptions& options) {
  TANDEM_RETURN_IF_ERROR(Check(options));
  return JointReward(options);
}

JointReward::JointReward(const JointRewardOptions& options)
    : options_(options),
      positive_{.transform = options.transform,
                .shift = options.reward_shift,
                .scale = options.reward_scale,
                .min_reward = options.min_reward.value_or(
                    options.transform == RewardTransform::kShift ? kLeastShifted : 0),
                .terminal_reward = options.terminal_reward},
      weight_(options.weight) {
  if (options.kind == RatioWeight::kDual) {
    weight_ = std::clamp(weight_, options.min_weight, options.max_weight);
  }
}

absl::Status JointReward::Observe(std::span<const float> real_rewards) {
  double smallest = std::numeric_limits<double>::infinity();
  for (const float r : real_rewards) {
    if (!std::isfinite(r))
      return absl::InvalidArgumentError("joint reward: a reward is not finite");
    smallest = std::min<double>(smallest, r);
  }
  if (!options_.log_reward) return absl::OkStatus();
  if (options_.shift_from_data) {
    positive_.shift = std::max(positive_.shift, positive_.min_reward - smallest);
    return absl::OkStatus();
  }
  return CheckSmallest(smallest);
}

absl::Status JointReward::CheckSmallest(double smallest) const {
  const double least = positive_.min_reward;
  if (least == 0) return absl::OkStatus();  // no bound
  if (positive_.transform != RewardTransform::kShift) {
    const PositiveReward free{
        .transform = positive_.transform, .scale = positive_.scale, .min_reward = 0};
    const double log_reward = free.Log(smallest);
    if (log_reward >= std::log(least) - kTolerance * (1 + std::abs(log_reward))) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrFormat(
        "joint reward: one of %g with reward_scale %g is %g when made positive, below min_reward "
        "%g; expected a smaller min_reward, or none",
        smallest, positive_.scale, std::exp(log_reward), least));
  }
  if (smallest + positive_.shift >= least - kTolerance * (std::abs(smallest) + least)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "joint reward: the bound needs positive rewards, but one is %g with reward_shift %g, below "
      "min_reward %g; expected reward_shift >= %.9g, or a shift taken from the data",
      smallest, positive_.shift, least, RoundedUp(least - smallest)));
}

double JointReward::Paid(double reward) const {
  if (!options_.log_reward) return reward;
  return (1 - options_.discount) * positive_.Log(reward);
}

void JointReward::Augment(std::span<const float> log_ratios, std::span<float> rewards) const {
  for (float& r : rewards) r = static_cast<float>(Paid(r));
  const float weight = static_cast<float>(this->weight());
  for (size_t i = 0; i < log_ratios.size(); ++i) rewards[i] += weight * log_ratios[i];
}

void JointReward::Advance(double divergence) {
  ++updates_;
  const int64_t paid = updates_ - options_.warmup_updates;
  if (options_.kind == RatioWeight::kFixed || paid <= 0) return;
  if (options_.kind == RatioWeight::kLinear) {
    const double share =
        options_.ramp_updates == 0
            ? 1
            : std::min(1.0, static_cast<double>(paid) / static_cast<double>(options_.ramp_updates));
    weight_ = options_.weight + share * (options_.weight_end - options_.weight);
    return;
  }
  // Descent on -log w * (divergence - target); a wild batch is one Adam step like any other.
  const double gradient = options_.target_divergence - divergence;
  if (!std::isfinite(gradient)) return;
  first_ = kBeta1 * first_ + (1 - kBeta1) * gradient;
  second_ = kBeta2 * second_ + (1 - kBeta2) * gradient * gradient;
  const double t = static_cast<double>(paid);
  const double mean = first_ / (1 - std::pow(kBeta1, t));
  const double scale = std::sqrt(second_ / (1 - std::pow(kBeta2, t))) + kEpsilon;
  const double rate = options_.weight_lr * (mean > 0 ? options_.weight_fall : 1);
  const double log_weight = std::log(weight_) - rate * mean / scale;
  weight_ = std::clamp(std::exp(log_weight), options_.min_weight, options_.max_weight);
}

void JointReward::SaveState(nn::TensorFile* file) const {
  const auto put = [&](const char* name, double x) {
    file->metadata[absl::StrCat("joint_reward.", name)] = absl::StrFormat("%.17g", x);
  };
  put("shift", positive_.shift);
  put("weight", weight_);
  put("first", first_);
  put("second", second_);
  file->metadata["joint_reward.updates"] = absl::StrCat(updates_);
}

absl::Status JointReward::LoadState(const nn::TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const double shift, nn::FindDouble(file, "joint_reward.shift"));
  TANDEM_ASSIGN_OR_RETURN(const double weight, nn::FindDouble(file, "joint_reward.weight"));
  TANDEM_ASSIGN_OR_RETURN(const double first, nn::FindDouble(file, "joint_reward.first"));
  TANDEM_ASSIGN_OR_RETURN(const double second, nn::FindDouble(file, "joint_reward.second"));
  TANDEM_ASSIGN_OR_RETURN(const int64_t updates, nn::FindInt(file, "joint_reward.updates"));
  if (!std::isfinite(shift + weight + first + second) || weight < 0 || second < 0 || updates < 0) {
    return absl::InvalidArgumentError("joint reward state: a number is out of range");
  }
  positive_.shift = options_.shift_from_data ? shift : options_.reward_shift;
  weight_ = options_.kind == RatioWeight::kFixed ? options_.weight : weight;
  if (options_.kind == RatioWeight::kDual) {
    weight_ = std::clamp(weight_, options_.min_weight, options_.max_weight);
  }
  first_ = first;
  second_ = second;
  updates_ = updates;
  return absl::OkStatus();
}

}  // namespace tandem::objective
