#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/config/assign.h"
#include "common/config/config.h"

namespace tandem::config {
namespace {

constexpr size_t kMaxRecipeBytes = 1 << 20;

/// Checks between two fields; the message names the place where either was set.
class CrossChecks {
 public:
  explicit CrossChecks(const Origins& origins) : origins_(origins) {}

  absl::Status AtMost(const std::string& lower, double value, const std::string& upper,
                      double bound) const {
    if (value <= bound) return absl::OkStatus();
    return Error(lower, upper,
                 absl::StrCat(lower, " is ", value, ", but must be at most ", upper, ", which is ",
                              bound, origins_.contains(upper) ? "" : " by default"));
  }

  absl::Status Error(const std::string& first, const std::string& second,
                     const std::string& what) const {
    auto origin = origins_.find(first);
    if (origin == origins_.end()) origin = origins_.find(second);
    const std::string where = origin == origins_.end() ? "config" : origin->second;
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
  }

 private:
  const Origins& origins_;
};

/// Infinite where the target is 1.
double BestLogitOf(const v1::Objective& objective) {
  const double target = objective.classifier_target();
  return std::log(target / (1 - target));
}

absl::Status CheckDualWeight(const v1::Objective& objective, const CrossChecks& checks) {
  if (objective.weight_mode() != v1::RATIO_WEIGHT_DUAL) return absl::OkStatus();
  TANDEM_RETURN_IF_ERROR(checks.AtMost("objective.weight_min", objective.weight_min(),
                                       "objective.weight", objective.weight()));
  TANDEM_RETURN_IF_ERROR(checks.AtMost("objective.weight", objective.weight(),
                                       "objective.weight_max", objective.weight_max()));
  constexpr char kTarget[] = "objective.divergence_target";
  const double target = objective.divergence_target(), least = -objective.logit_upper();
  if (target < least) {
    return checks.Error(kTarget, "objective.logit_upper",
                        absl::StrCat(kTarget, " is ", target, ", but must be at least ", least,
                                     ", the least that a step can cost with "
                                     "objective.logit_upper"));
  }
  const double bound = -objective.logit_lower();
  if (target >= bound) {
    return checks.Error(kTarget, "objective.logit_lower",
                        absl::StrCat(kTarget, " is ", target, ", but must be below ", bound,
                                     ", the most that a step can cost with objective.logit_lower"));
  }
  double sure = BestLogitOf(objective) - objective.logit_tolerance();
  if (objective.state_price()) sure += BestLogitOf(objective) - objective.state_tolerance();
  if (target < sure) return absl::OkStatus();
  return checks.Error(kTarget, "objective.classifier_target",
                      absl::StrFormat("%s is %g, but must be below %.3g, the most that a step "
                                      "costs with objective.classifier_target and "
                                      "objective.logit_tolerance",
                                      kTarget, target, sure));
}

/// A tolerance that lets every state off.
absl::Status CheckStatePrice(const v1::Objective& objective, const CrossChecks& checks) {
  const double best = BestLogitOf(objective);
  if (!objective.state_price() || objective.state_tolerance() < best) return absl::OkStatus();
  return checks.Error(
      "objective.state_tolerance", "objective.classifier_target",
      absl::StrFormat("objective.state_tolerance is %g, but must be below %.3g, the most that a "
                      "state costs with objective.classifier_target",
                      objective.state_tolerance(), best));
}

/// What rewards that are paid as they are have no use for.
absl::Status CheckPlainReward(const v1::Objective& objective, const CrossChecks& checks) {
  if (objective.log_reward()) return absl::OkStatus();
  for (const auto& [name, set] : {std::pair{"reward_shift", objective.has_reward_shift()},
                                  {"reward_min", objective.has_reward_min()},
                                  {"terminal_reward", objective.terminal_reward() != 1}}) {
    if (!set) continue;
    return checks.Error(absl::StrCat("objective.", name), "objective.log_reward",
                        absl::StrCat("objective.", name,
                                     " is set, but log_reward false pays "
                                     "rewards as they are: leave it out"));
  }
  return absl::OkStatus();
}

/// What only one way of making rewards positive has.
absl::Status CheckRewardTransform(const v1::Objective& objective, const CrossChecks& checks) {
  constexpr char kField[] = "objective.reward_transform";
  if (objective.reward_transform() == v1::REWARD_TRANSFORM_SHIFT) {
    if (objective.reward_scale() == 1) return absl::OkStatus();
    return checks.Error("objective.reward_scale", kField,
                        absl::StrCat("objective.reward_scale is ", objective.reward_scale(),
                                     ", but reward_transform SHIFT has none: expected EXP or "
                                     "SOFTPLUS"));
  }
  if (objective.has_reward_shift()) {
    return checks.Error("objective.reward_shift", kField,
                        absl::StrCat("objective.reward_shift is ", objective.reward_shift(),
                                     ", but reward_transform EXP and SOFTPLUS shift nothing"));
  }
  if (objective.log_reward()) return absl::OkStatus();
  return checks.Error("objective.log_reward", kField,
                      "objective.log_reward is false, but reward_transform EXP and SOFTPLUS are "
                      "for its logarithm");
}

/// What the learned model's loss has no place for.
absl::Status CheckModelLoss(const v1::RunConfig& config, const CrossChecks& checks) {
  if (config.objective().kind() != v1::OBJECTIVE_KIND_MNM ||
      config.model().kind() != v1::MODEL_KIND_SIMULATOR) {
    return absl::OkStatus();
  }
  const v1::Objective& objective = config.objective();
  for (const auto& [name, weight] :
       {std::pair{"objective.model_value_weight", objective.model_value_weight()},
        {"objective.model_ratio_weight", objective.model_ratio_weight()}}) {
    if (weight == 0) continue;
    return checks.Error(name, "model.kind",
                        absl::StrCat(name, " is ", weight,
                                     ", but model.kind SIMULATOR learns nothing: leave it at 0"));
  }
  return absl::OkStatus();
}

absl::Status CheckObjective(const v1::RunConfig& config, const CrossChecks& checks) {
  const v1::Objective& objective = config.objective();
  TANDEM_RETURN_IF_ERROR(checks.AtMost("objective.logit_lower", objective.logit_lower(),
                                       "objective.logit_upper", objective.logit_upper()));
  TANDEM_RETURN_IF_ERROR(checks.AtMost("objective.weight_min", objective.weight_min(),
                                       "objective.weight_max", objective.weight_max()));
  TANDEM_RETURN_IF_ERROR(CheckStatePrice(objective, checks));
  TANDEM_RETURN_IF_ERROR(CheckDualWeight(objective, checks));
  TANDEM_RETURN_IF_ERROR(CheckRewardTransform(objective, checks));
  TANDEM_RETURN_IF_ERROR(CheckPlainReward(objective, checks));
  if (const double room = 1 - objective.classifier_target();
      objective.classifier_label_range() > room + 1e-9) {
    return checks.Error("objective.classifier_label_range", "objective.classifier_target",
                        absl::StrCat("objective.classifier_label_range is ",
                                     objective.classifier_label_range(), ", but must be at most ",
                                     room, ", what objective.classifier_target leaves below 1"));
  }
  TANDEM_RETURN_IF_ERROR(CheckModelLoss(config, checks));
  if (objective.kind() == v1::OBJECTIVE_KIND_MNM && !(config.policy().discount() < 1)) {
    return checks.Error("policy.discount", "objective.kind",
                        "policy.discount is 1, but objective.kind MNM needs less");
  }
  return absl::OkStatus();
}

bool IsRunName(const std::string& name) {
  if (name.empty() || name.size() > 100 || name[0] == '.' || name[0] == '-') return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

absl::Status CheckTogether(const v1::RunConfig& config, const Origins& origins) {
  const CrossChecks checks(origins);
  TANDEM_RETURN_IF_ERROR(checks.AtMost("model.elites", config.model().elites(), "model.members",
                                       config.model().members()));
  TANDEM_RETURN_IF_ERROR(checks.AtMost("monitor.warning", config.monitor().warning(),
                                       "monitor.tolerance", config.monitor().tolerance()));
  const v1::Imagination& imagination = config.imagination();
  TANDEM_RETURN_IF_ERROR(
      checks.AtMost("imagination.schedule_start", static_cast<double>(imagination.schedule_start()),
                    "imagination.schedule_end", static_cast<double>(imagination.schedule_end())));
  TANDEM_RETURN_IF_ERROR(CheckObjective(config, checks));
  if (!IsRunName(config.run().name())) {
    return checks.Error(
        "run.name", "",
        absl::StrCat("run.name: expected letters, digits, '.', '_' and '-', at most "
                     "100 and no '.' or '-' first, got \"",
                     config.run().name(), "\""));
  }
  return absl::OkStatus();
}

/// "recipes/mbpo/pendulum.yaml" and seed 3 -> "pendulum-s3".
std::string DefaultRunName(const std::string& recipe, uint64_t seed) {
  std::string stem = std::filesystem::path(recipe).stem().string();
  for (char& c : stem) {
    if (!IsRunName(std::string("x") + c)) c = '_';
  }
  if (!IsRunName(stem)) stem = "run";
  return absl::StrCat(stem.substr(0, 80), "-s", seed);
}

}  // namespace

absl::StatusOr<v1::RunConfig> Parse(const std::string& yaml, const std::string& name,
                                    const std::vector<std::string>& overrides, Origins* origins) {
  v1::RunConfig config;
  Origins own;
  if (origins == nullptr) origins = &own;
  origins->clear();
  try {  // yaml-cpp reports by exceptions; none passes this border
    const std::vector<YAML::Node> documents = YAML::LoadAll(yaml);
    if (documents.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ":", documents[1].Mark().line + 1,
                       ": a second document; a recipe is one document without \"---\""));
    }
    if (!documents.empty()) {
      TANDEM_RETURN_IF_ERROR(AssignTree(documents[0], name, &config, origins));
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":", error.mark.line + 1, ": not valid YAML: ", error.msg));
  }
  for (const std::string& text : overrides) {
    TANDEM_RETURN_IF_ERROR(AssignOverride(text, &config, origins));
  }
  FillDefaults(&config);
  if (!config.run().has_name()) {
    config.mutable_run()->set_name(DefaultRunName(name, config.run().seed()));
  }
  TANDEM_RETURN_IF_ERROR(CheckTogether(config, *origins));
  return config;
}

absl::StatusOr<v1::RunConfig> Load(const std::string& path,
                                   const std::vector<std::string>& overrides, Origins* origins) {
  if (path.empty()) return Parse("", "", overrides, origins);
  absl::StatusOr<std::string> text = ReadFile(path, kMaxRecipeBytes);
  if (!text.ok()) {
    return absl::Status(text.status().code(),
                        absl::StrCat("cannot read the recipe: ", text.status().message()));
  }
  return Parse(*text, path, overrides, origins);
}

uint64_t SeedFor(const v1::RunConfig& config, bool has_own, uint64_t own, const std::string& part) {
  return has_own ? own : StreamSeed(config.run().seed(), part);
}

double BestLogit(const v1::RunConfig& config) { return BestLogitOf(config.objective()); }

int Threads(const v1::RunConfig& config) {
  return config.runtime().has_threads() ? config.runtime().threads() : 1;
}

bool MonitorInLockstep(const v1::RunConfig& config) {
  return config.monitor().has_in_lockstep() ? config.monitor().in_lockstep()
                                            : config.control().mode() == v1::CONTROL_MODE_ACT;
}

}  // namespace tandem::config
