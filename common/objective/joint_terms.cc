#include "common/objective/joint_terms.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace tandem::objective {
namespace {

/// "exp" or "softplus"; shifted rewards have neither it nor a scale.
constexpr char kTransform[] = "reward_transform";
/// Absent: infinite.
constexpr char kBestLogit[] = "best_logit";

std::string Key(const char* name) { return absl::StrCat("joint.", name); }

absl::StatusOr<RewardTransform> TransformIn(const nn::TensorFile& file) {
  const auto found = file.metadata.find(Key(kTransform));
  if (found == file.metadata.end()) return RewardTransform::kShift;
  if (found->second == "exp") return RewardTransform::kExp;
  if (found->second == "softplus") return RewardTransform::kSoftplus;
  return absl::InvalidArgumentError(absl::StrCat(
      "joint terms of a policy: expected transform exp or softplus, got ", found->second));
}

/// Whether every number is in its range; only other transforms than kShift may have no least one.
bool Valid(const PositiveReward& reward) {
  const bool shifted = reward.transform == RewardTransform::kShift;
  return std::isfinite(reward.shift) && std::isfinite(reward.scale) && reward.scale > 0 &&
         std::isfinite(reward.min_reward) && reward.min_reward >= 0 &&
         (reward.min_reward > 0 || !shifted) && std::isfinite(reward.terminal_reward) &&
         reward.terminal_reward > 0;
}

}  // namespace

void JointTerms::Export(nn::TensorFile* file) const {
  const auto put = [file](const char* name, double x) {
    file->metadata[Key(name)] = absl::StrFormat("%.17g", x);
  };
  put("discount", discount);
  put("log_reward", log_reward ? 1 : 0);
  put("shift", reward.shift);
  put("min_reward", reward.min_reward);
  put("terminal_reward", reward.terminal_reward);
  if (reward.transform != RewardTransform::kShift) {
    file->metadata[Key(kTransform)] =
        reward.transform == RewardTransform::kExp ? "exp" : "softplus";
    put("reward_scale", reward.scale);
  }
  put("weight", weight);
  put("logit_lower", ratio.lower);
  put("logit_upper", ratio.upper);
  if (std::isfinite(ratio.best_logit)) put(kBestLogit, ratio.best_logit);
  file->metadata[Key("logit_samples")] = absl::StrCat(ratio.samples);
}

absl::StatusOr<JointTerms> JointTerms::Import(const nn::TensorFile& file) {
  JointTerms terms;
  const auto find = [&file](const char* name, double* to) -> absl::Status {
    TANDEM_ASSIGN_OR_RETURN(*to, nn::FindDouble(file, Key(name)));
    return absl::OkStatus();
  };
  double log_reward = 1;
  TANDEM_RETURN_IF_ERROR(find("discount", &terms.discount));
  TANDEM_RETURN_IF_ERROR(find("log_reward", &log_reward));
  TANDEM_RETURN_IF_ERROR(find("shift", &terms.reward.shift));
  TANDEM_RETURN_IF_ERROR(find("min_reward", &terms.reward.min_reward));
  TANDEM_RETURN_IF_ERROR(find("terminal_reward", &terms.reward.terminal_reward));
  TANDEM_ASSIGN_OR_RETURN(terms.reward.transform, TransformIn(file));
  if (terms.reward.transform != RewardTransform::kShift) {
    TANDEM_RETURN_IF_ERROR(find("reward_scale", &terms.reward.scale));
  }
  TANDEM_RETURN_IF_ERROR(find("weight", &terms.weight));
  TANDEM_RETURN_IF_ERROR(find("logit_lower", &terms.ratio.lower));
  TANDEM_RETURN_IF_ERROR(find("logit_upper", &terms.ratio.upper));
  if (file.metadata.contains(Key(kBestLogit))) {
    TANDEM_RETURN_IF_ERROR(find(kBestLogit, &terms.ratio.best_logit));
  }
  TANDEM_ASSIGN_OR_RETURN(const int64_t samples, nn::FindInt(file, Key("logit_samples")));
  terms.log_reward = log_reward != 0;
  terms.ratio.samples = static_cast<int>(std::clamp<int64_t>(samples, 0, 1000));
  if (!Valid(terms.reward) || !(terms.discount >= 0 && terms.discount < 1) ||
      !std::isfinite(terms.weight) || !(terms.weight >= 0)) {
    return absl::InvalidArgumentError("joint terms of a policy: a number is out of range");
  }
  TANDEM_RETURN_IF_ERROR(Validate(terms.ratio));
  return terms;
}

}  // namespace tandem::objective
