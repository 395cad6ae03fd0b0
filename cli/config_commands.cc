#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/env/environment.h"
#include "common/env/known_reward.h"

namespace tandem::cli {

int Fail(const absl::Status& status, int code) {
  std::cerr << "tandem: " << std::string(status.message()) << std::endl;
  return code;
}

namespace {

/// Whether the environment can be had, and its termination where the model is to know it.
absl::Status CheckEnvironment(const config::v1::RunConfig& config) {
  const config::v1::Env& env = config.env();
  const bool served = !env.server().empty() || !env.command().empty();
  if (!env.server().empty() && !env.command().empty()) {
    return absl::InvalidArgumentError("env.server and env.command: expected one of them, got both");
  }
  if (env.name().empty() && !served) {
    return absl::InvalidArgumentError("env.name is missing; it says what is trained on");
  }
  const bool built_in = !served && !absl::StartsWith(env.name(), "gym:");
  if (built_in && !env.arguments().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("env.arguments: the built-in environment ", env.name(), " takes none"));
  }
  const bool needs_it = config.model().termination() == config::v1::TERMINATION_KNOWN;
  if (needs_it && (env.name().empty() || !env.arguments().empty())) {
    return absl::InvalidArgumentError(
        "model.termination: KNOWN needs env.name and no env.arguments; set LEARNED or NEVER");
  }
  const absl::Status termination = KnownTermination(env.name()).status();
  if ((built_in && absl::IsNotFound(termination)) || (needs_it && !termination.ok())) {
    return absl::InvalidArgumentError(absl::StrCat("env.name: ", termination.message()));
  }
  if (config.model().known_reward()) {
    const absl::Status reward = KnownReward(env.name()).status();
    if (!reward.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("env.name: ", reward.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<config::v1::RunConfig> LoadForTraining(const std::string& recipe,
                                                      const std::vector<std::string>& overrides) {
  TANDEM_ASSIGN_OR_RETURN(config::v1::RunConfig config, config::Load(recipe, overrides));
  if (const absl::Status status = CheckEnvironment(config); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(recipe, ": ", status.message()));
  }
  return config;
}

int PrintConfig(const std::string& recipe, const std::vector<std::string>& overrides) {
  const absl::StatusOr<config::v1::RunConfig> config = config::Load(recipe, overrides);
  if (!config.ok()) return Fail(config.status(), kUsage);
  std::cout << config::ToYaml(*config);
  return kDone;
}

int ValidateConfigs(const std::vector<std::string>& recipes) {
  int code = kDone;
  for (const std::string& recipe : recipes) {
    const absl::Status status = LoadForTraining(recipe, {}).status();
    if (!status.ok()) {
      code = Fail(status, kUsage);
    } else {
      std::cout << recipe << ": ok" << std::endl;
    }
  }
  return code;
}

int PrintConfigDocs() {
  std::cout << config::Docs();
  return kDone;
}

}  // namespace tandem::cli
