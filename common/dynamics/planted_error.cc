#include "common/dynamics/planted_error.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace tandem::dynamics {
namespace {

constexpr char kRewardKey[] = "planted_reward";
constexpr char kElementKey[] = "planted_element";
constexpr char kLowKey[] = "planted_low";
constexpr char kHighKey[] = "planted_high";
constexpr char kMemberShareKey[] = "planted_member_share";

}  // namespace

absl::Status PlantedError::Check(int64_t obs_dim) const {
  if (reward == 0) return absl::OkStatus();
  if (!std::isfinite(reward)) {
    return absl::InvalidArgumentError("study.planted_reward: expected a finite reward");
  }
  if (element < 0 || element >= obs_dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("study.planted_element: expected an element of an observation, 0 to ",
                     obs_dim - 1, ", got ", element));
  }
  if (!(low <= high)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "study.planted_low: expected at most study.planted_high, which is ", high, ", got ", low));
  }
  if (!(member_share >= 0 && member_share <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "study.planted_member_share: expected a share from 0 to 1, got ", member_share));
  }
  return absl::OkStatus();
}

double PlantedError::RewardOf(int member, int members) const {
  return member < std::lround(member_share * members) ? reward : 0;
}

void PlantedError::Export(nn::TensorFile* file) const {
  if (reward == 0) return;
  file->metadata[kRewardKey] = absl::StrFormat("%.17g", reward);
  file->metadata[kElementKey] = absl::StrCat(element);
  file->metadata[kLowKey] = absl::StrFormat("%.17g", low);
  file->metadata[kHighKey] = absl::StrFormat("%.17g", high);
  file->metadata[kMemberShareKey] = absl::StrFormat("%.17g", member_share);
}

absl::Status PlantedError::Import(const nn::TensorFile& file, int64_t obs_dim) {
  *this = {};
  if (!file.metadata.contains(kRewardKey)) return absl::OkStatus();
  TANDEM_ASSIGN_OR_RETURN(reward, nn::FindDouble(file, kRewardKey));
  TANDEM_ASSIGN_OR_RETURN(element, nn::FindInt(file, kElementKey));
  TANDEM_ASSIGN_OR_RETURN(low, nn::FindDouble(file, kLowKey));
  TANDEM_ASSIGN_OR_RETURN(high, nn::FindDouble(file, kHighKey));
  TANDEM_ASSIGN_OR_RETURN(member_share, nn::FindDouble(file, kMemberShareKey));
  return Check(obs_dim);
}

}  // namespace tandem::dynamics
