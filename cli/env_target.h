#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/clients/environments.h"

namespace tandem::cli {

/// Which environment a command is about.
struct EnvTarget {
  std::string
      source;  ///< Built-in name, "gym:ID", "host:port", "unix:PATH" or "dm_env_rpc:ADDRESS".
  std::string command;    ///< Program that serves; then source is empty.
  std::string arguments;  ///< JSON object for the environment's maker.
  int num_envs = 1;
  int threads = 1;
};

/// The source that a target names. INVALID_ARGUMENT where it names none, or two.
absl::StatusOr<EnvironmentSource> SourceOf(const EnvTarget& target);

}  // namespace tandem::cli
