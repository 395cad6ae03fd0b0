#include <iostream>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/env/environment.h"

namespace tandem::cli {

int Fail(const absl::Status& status, int code) {
  std::cerr << "tandem: " << std::string(status.message()) << std::endl;
  return code;
}

absl::StatusOr<config::v1::RunConfig> LoadForTraining(const std::string& recipe,
                                                      const std::vector<std::string>& overrides) {
  TANDEM_ASSIGN_OR_RETURN(config::v1::RunConfig config, config::Load(recipe, overrides));
  const std::string& name = config.env().name();
  if (name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(recipe, ": env.name is missing; it says what is trained on"));
  }
  const absl::Status termination = KnownTermination(name).status();
  const bool needs_it = config.model().termination() == config::v1::TERMINATION_KNOWN;
  if (absl::IsNotFound(termination) || (needs_it && !termination.ok())) {
    return absl::InvalidArgumentError(absl::StrCat("env.name: ", termination.message()));
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
