#include "cli/env_target.h"

#include "absl/strings/match.h"

namespace tandem::cli {

absl::StatusOr<EnvironmentSource> SourceOf(const EnvTarget& target) {
  if (target.source.empty() == target.command.empty()) {
    return absl::InvalidArgumentError("expected an environment, or --command, and not both");
  }
  EnvironmentSource source;
  source.command = target.command;
  source.arguments = target.arguments;
  source.threads = target.threads;
  source.client = "tandem env";
  const bool gymnasium = absl::StartsWith(target.source, "gym:");
  const bool address = !gymnasium && absl::StrContains(target.source, ':');
  (address ? source.server : source.name) = target.source;
  return source;
}

}  // namespace tandem::cli
