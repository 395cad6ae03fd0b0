#include "common/policy/sac_snapshot.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/nn/snapshot_checks.h"

namespace tandem::policy {
namespace {

constexpr nn::SnapshotChecks kChecks("policy snapshot");

absl::Status ExpectBound(const nn::TensorFile& file, const std::string& name,
                         const std::vector<float>& expected) {
  TANDEM_ASSIGN_OR_RETURN(const nn::NamedTensor* got,
                          nn::FindTensor(file, name, {static_cast<int64_t>(expected.size())}));
  if (got->data != expected) {
    return kChecks.Expected(name, absl::StrJoin(expected, ","), absl::StrJoin(got->data, ","));
  }
  return absl::OkStatus();
}

}  // namespace

void SacMetadata::Export(const EnvironmentSpec& spec, nn::TensorFile* file) const {
  file->metadata["kind"] = std::string(kSacKind);
  file->metadata["environment"] = spec.name;
  file->metadata["obs_dim"] = absl::StrCat(spec.observation.dim());
  file->metadata["action_dim"] = absl::StrCat(spec.action.dim());
  file->metadata["hidden"] = nn::JoinInts(hidden);
  file->metadata["policy_updates"] = absl::StrCat(updates);
  file->metadata["discount"] = absl::StrFormat("%.17g", discount);
  file->metadata["temperature"] = absl::StrFormat("%.17g", temperature);
  file->tensors["action_low"] = {{spec.action.dim()}, spec.action.low};
  file->tensors["action_high"] = {{spec.action.dim()}, spec.action.high};
}

absl::StatusOr<SacMetadata> SacMetadata::Import(const nn::TensorFile& file,
                                                const EnvironmentSpec& spec) {
  SacMetadata out;
  TANDEM_RETURN_IF_ERROR(kChecks.Text(file, "kind", kSacKind));
  TANDEM_RETURN_IF_ERROR(kChecks.Text(file, "environment", spec.name));
  TANDEM_RETURN_IF_ERROR(kChecks.Int(file, "obs_dim", spec.observation.dim()));
  TANDEM_RETURN_IF_ERROR(kChecks.Int(file, "action_dim", spec.action.dim()));
  TANDEM_RETURN_IF_ERROR(ExpectBound(file, "action_low", spec.action.low));
  TANDEM_RETURN_IF_ERROR(ExpectBound(file, "action_high", spec.action.high));
  TANDEM_ASSIGN_OR_RETURN(out.hidden, kChecks.Hidden(file, "hidden"));
  TANDEM_ASSIGN_OR_RETURN(const int64_t updates, nn::FindInt(file, "policy_updates"));
  if (updates < 0) return kChecks.Expected("policy_updates", "at least 0", absl::StrCat(updates));
  out.updates = static_cast<uint64_t>(updates);
  TANDEM_ASSIGN_OR_RETURN(out.discount, nn::FindDouble(file, "discount"));
  TANDEM_ASSIGN_OR_RETURN(out.temperature, nn::FindDouble(file, "temperature"));
  return out;
}

nn::ActorCriticSpec NetworkSpec(const EnvironmentSpec& spec, const std::vector<int>& hidden) {
  return {.obs_dim = spec.observation.dim(), .action_dim = spec.action.dim(), .hidden = hidden};
}

}  // namespace tandem::policy
