#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

#include "absl/status/statusor.h"
#include "common/clients/environments.h"

// The commands of `tandem env`. Each prints its result to standard output and returns the exit code
// of the process, as those of commands.h.
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

/// Lists the built-in environments.
int ListEnvironments(bool json);

struct EnvBenchOptions {
  EnvTarget target;
  double seconds = 3;
  bool json = false;
};
/// Steps environments with random actions and prints how fast they are.
int BenchEnvironment(const EnvBenchOptions& options);

/// Adds `env` and its commands; what they do sets `code`.
void AddEnv(CLI::App& app, int& code);

}  // namespace tandem::cli
