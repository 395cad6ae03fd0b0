#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/commands.h"
#include "common/base/address.h"
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

/// Errors that begin with where a field was set: `my.yaml:3: ...`, or the recipe alone where it has
/// its default.
class Complaints {
 public:
  Complaints(const std::string& recipe, const config::Origins& origins)
      : recipe_(recipe), origins_(origins) {}

  template <typename... Parts>
  absl::Status At(const std::string& field, const Parts&... what) const {
    const auto origin = origins_.find(field);
    return absl::InvalidArgumentError(
        absl::StrCat(origin == origins_.end() ? recipe_ : origin->second, ": ", what...));
  }

 private:
  const std::string& recipe_;
  const config::Origins& origins_;
};

/// Whether the addresses of a run on this machine are ones.
absl::Status CheckAddresses(const config::v1::RunConfig& config, const Complaints& complaints) {
  const std::string& dashboard = config.monitor().dashboard();
  if (const absl::Status status = ParseHostPort(dashboard).status();
      !dashboard.empty() && !status.ok()) {
    return complaints.At("monitor.dashboard", "monitor.dashboard: ", status.message());
  }
  const std::string server(absl::StripPrefix(config.env().server(), "dm_env_rpc:"));
  if (server.empty() || absl::StartsWith(server, "unix:")) return absl::OkStatus();
  const absl::StatusOr<HostPort> parts = ParseHostPort(server);
  if (parts.ok() && parts->port > 0) return absl::OkStatus();
  return complaints.At("env.server", "env.server: \"", server,
                       "\": expected \"unix:/path\", or \"host:port\", port 1 to 65535");
}

/// Whether the environment can be had, and its termination where the model is to know it.
absl::Status CheckEnvironment(const config::v1::RunConfig& config, const Complaints& complaints) {
  const config::v1::Env& env = config.env();
  const bool served = !env.server().empty() || !env.command().empty();
  if (!env.server().empty() && !env.command().empty()) {
    return complaints.At("env.command",
                         "env.server and env.command: expected one of them, got both");
  }
  if (env.name().empty() && !served) {
    return complaints.At("env.name", "env.name is missing; it says what is trained on");
  }
  const bool built_in = !served && !absl::StartsWith(env.name(), "gym:");
  if (built_in && !env.arguments().empty()) {
    return complaints.At("env.arguments", "env.arguments: the built-in environment ", env.name(),
                         " takes none");
  }
  const bool needs_it = config.model().termination() == config::v1::TERMINATION_KNOWN;
  if (needs_it && (env.name().empty() || !env.arguments().empty())) {
    return complaints.At(
        "model.termination",
        "model.termination: KNOWN needs env.name and no env.arguments; set LEARNED or NEVER");
  }
  const absl::Status termination = KnownTermination(env.name()).status();
  if ((built_in && absl::IsNotFound(termination)) || (needs_it && !termination.ok())) {
    return complaints.At("env.name", "env.name: ", termination.message());
  }
  if (config.model().known_reward()) {
    const absl::Status reward = KnownReward(env.name()).status();
    if (!reward.ok()) return complaints.At("env.name", "env.name: ", reward.message());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<config::v1::RunConfig> LoadForTraining(const std::string& recipe,
                                                      const std::vector<std::string>& overrides) {
  config::Origins origins;
  TANDEM_ASSIGN_OR_RETURN(config::v1::RunConfig config, config::Load(recipe, overrides, &origins));
  const Complaints complaints(recipe, origins);
  TANDEM_RETURN_IF_ERROR(CheckAddresses(config, complaints));
  TANDEM_RETURN_IF_ERROR(CheckEnvironment(config, complaints));
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
