#include "common/objective/joint_terms.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace tandem::objective {
namespace {

std::string Key(const char* name) { return absl::StrCat("joint.", name); }

}  // namespace

void JointTerms::Export(nn::TensorFile* file) const {
  const auto put = [file](const char* name, double x) {
    file->metadata[Key(name)] = absl::StrFormat("%.17g", x);
  };
  put("discount", discount);
  put("log_reward", log_reward ? 1 : 0);
  put("shift", shift);
  put("min_reward", min_reward);
  put("terminal_reward", terminal_reward);
  put("weight", weight);
  put("logit_lower", ratio.lower);
  put("logit_upper", ratio.upper);
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
  TANDEM_RETURN_IF_ERROR(find("shift", &terms.shift));
  TANDEM_RETURN_IF_ERROR(find("min_reward", &terms.min_reward));
  TANDEM_RETURN_IF_ERROR(find("terminal_reward", &terms.terminal_reward));
  TANDEM_RETURN_IF_ERROR(find("weight", &terms.weight));
  TANDEM_RETURN_IF_ERROR(find("logit_lower", &terms.ratio.lower));
  TANDEM_RETURN_IF_ERROR(find("logit_upper", &terms.ratio.upper));
  TANDEM_ASSIGN_OR_RETURN(const int64_t samples, nn::FindInt(file, Key("logit_samples")));
  terms.log_reward = log_reward != 0;
  terms.ratio.samples = static_cast<int>(std::clamp<int64_t>(samples, 0, 1000));
  const bool finite = std::isfinite(terms.shift) && std::isfinite(terms.min_reward) &&
                      std::isfinite(terms.terminal_reward) && std::isfinite(terms.weight);
  if (!finite || !(terms.discount >= 0 && terms.discount < 1) || !(terms.min_reward > 0) ||
      !(terms.terminal_reward > 0) || !(terms.weight >= 0)) {
    return absl::InvalidArgumentError("joint terms of a policy: a number is out of range");
  }
  TANDEM_RETURN_IF_ERROR(Validate(terms.ratio));
  return terms;
}

double JointTerms::Positive(double reward) const {
  return std::max(reward + shift, min_reward) / terminal_reward;
}

}  // namespace tandem::objective
