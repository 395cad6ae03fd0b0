#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/dynamics/gaussian_ensemble_model.h"
#include "common/dynamics/simulator_model.h"
#include "common/nn/snapshot_checks.h"

namespace tandem::dynamics {
namespace {

constexpr nn::SnapshotChecks kChecks("model snapshot");
constexpr int kMaxMembers = 1000;

}  // namespace

std::string_view Name(TerminationKind kind) {
  switch (kind) {
    case TerminationKind::kKnown:
      return "known";
    case TerminationKind::kLearned:
      return "learned";
    case TerminationKind::kNever:
      break;
  }
  return "never";
}

absl::StatusOr<TerminationKind> ParseTerminationKind(std::string_view name) {
  for (const TerminationKind kind :
       {TerminationKind::kKnown, TerminationKind::kLearned, TerminationKind::kNever}) {
    if (name == Name(kind)) return kind;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "termination: expected known, learned or never, got \"", std::string(name), "\""));
}

nn::GaussianEnsembleSpec EnsembleMetadata::NetworkSpec() const {
  return {.members = members,
          .input_dim = obs_dim + action_dim,
          .output_dim = obs_dim + 1,
          .binary_dim = termination == TerminationKind::kLearned ? 1 : 0,
          .hidden = hidden};
}

void EnsembleMetadata::Export(nn::TensorFile* file) const {
  auto& metadata = file->metadata;
  metadata["kind"] = std::string(kGaussianEnsembleKind);
  metadata["environment"] = environment;
  metadata["obs_dim"] = absl::StrCat(obs_dim);
  metadata["action_dim"] = absl::StrCat(action_dim);
  metadata["members"] = absl::StrCat(members);
  metadata["hidden"] = nn::JoinInts(hidden);
  metadata["elites"] = nn::JoinInts(elites);
  metadata["termination"] = std::string(Name(termination));
  metadata["deterministic"] = absl::StrCat(deterministic ? 1 : 0);
  metadata["known_reward"] = absl::StrCat(known_reward ? 1 : 0);
  inputs.Export("input", file);
  targets.Export("target", file);
  file->tensors["obs_low"] = {{obs_dim}, obs_low};
  file->tensors["obs_high"] = {{obs_dim}, obs_high};
}

absl::Status EnsembleMetadata::Import(const nn::TensorFile& file, const EnvironmentSpec& spec) {
  TANDEM_RETURN_IF_ERROR(kChecks.Text(file, "kind", kGaussianEnsembleKind));
  TANDEM_RETURN_IF_ERROR(kChecks.Text(file, "environment", spec.name));
  environment = spec.name;
  obs_dim = spec.observation.dim();
  action_dim = spec.action.dim();
  TANDEM_RETURN_IF_ERROR(kChecks.Int(file, "obs_dim", obs_dim));
  TANDEM_RETURN_IF_ERROR(kChecks.Int(file, "action_dim", action_dim));
  TANDEM_ASSIGN_OR_RETURN(const int64_t count, nn::FindInt(file, "members"));
  if (count < 1 || count > kMaxMembers)
    return kChecks.Expected("members", "1 to 1000", absl::StrCat(count));
  members = static_cast<int>(count);
  TANDEM_ASSIGN_OR_RETURN(hidden, kChecks.Hidden(file, "hidden"));
  TANDEM_ASSIGN_OR_RETURN(elites, nn::FindInts(file, "elites"));
  const std::set<int> distinct(elites.begin(), elites.end());
  if (elites.empty() || distinct.size() != elites.size() || *distinct.begin() < 0 ||
      *distinct.rbegin() >= members) {
    return kChecks.Expected("elites", absl::StrCat("distinct members of ", members),
                            nn::JoinInts(elites));
  }
  TANDEM_ASSIGN_OR_RETURN(const std::string end, nn::FindText(file, "termination"));
  TANDEM_ASSIGN_OR_RETURN(termination, ParseTerminationKind(end));
  for (const auto& [key, to] :
       {std::pair{"deterministic", &deterministic}, std::pair{"known_reward", &known_reward}}) {
    *to = false;
    if (!file.metadata.contains(key)) continue;
    TANDEM_ASSIGN_OR_RETURN(const int64_t flag, nn::FindInt(file, key));
    *to = flag != 0;
  }
  TANDEM_RETURN_IF_ERROR(planted.Import(file, obs_dim));
  TANDEM_RETURN_IF_ERROR(inputs.Import("input", obs_dim + action_dim, file));
  TANDEM_RETURN_IF_ERROR(targets.Import("target", obs_dim + 1, file));
  TANDEM_ASSIGN_OR_RETURN(const auto* low, nn::FindTensor(file, "obs_low", {obs_dim}));
  TANDEM_ASSIGN_OR_RETURN(const auto* high, nn::FindTensor(file, "obs_high", {obs_dim}));
  for (int64_t j = 0; j < obs_dim; ++j) {
    if (!(low->data[j] <= high->data[j])) return kChecks.Expected("obs_low", "<= obs_high", "more");
  }
  obs_low = low->data;
  obs_high = high->data;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DynamicsModel>> LoadDynamicsModel(const nn::TensorFile& snapshot,
                                                                 const EnvironmentSpec& spec,
                                                                 const std::string& device) {
  TANDEM_ASSIGN_OR_RETURN(const std::string kind, nn::FindText(snapshot, "kind"));
  if (kind == kGaussianEnsembleKind) return LoadGaussianEnsembleModel(snapshot, spec, device);
  if (kind == kSimulatorKind) return LoadSimulatorModel(snapshot, spec);
  return kChecks.Expected(
      "kind", absl::StrCat(std::string(kGaussianEnsembleKind), " or ", std::string(kSimulatorKind)),
      absl::StrCat("\"", kind, "\""));
}

}  // namespace tandem::dynamics
