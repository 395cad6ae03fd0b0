#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/env_target.h"

// The commands of `tandem env`. Each prints its result to standard output and returns the exit code
// of the process, as those of commands.h.
namespace tandem::cli {

/// Lists the built-in environments.
int ListEnvironments(bool json);

struct EnvBenchOptions {
  EnvTarget target;
  double seconds = 3;
  bool json = false;
};
/// Steps environments with random actions and prints how fast they are.
int BenchEnvironment(const EnvBenchOptions& options);

struct EnvServeOptions {
  std::string name;       ///< Built-in.
  std::string listen;     ///< Empty: TANDEM_ENV_LISTEN, else a free port of this machine.
  int64_t num_envs = 64;  ///< Open at a time.
};
/// Serves a built-in environment, in both protocols, until SIGINT or SIGTERM. Prints where once it
/// listens. Call before any thread exists.
int ServeEnvironment(const EnvServeOptions& options);

/// Checks whether a server or an environment keeps its promises: one line a check.
int CheckEnvironment(const EnvTarget& target);

struct EnvRenderOptions {
  std::string environment;  ///< As EnvTarget's source, but for dm_env_rpc.
  std::string arguments;    ///< JSON object for the environment's maker.
  std::string policy;       ///< Folder of a run, file or address; empty: random actions.
  std::string out = "episode.gif";
  int episodes = 1;
  int64_t steps = 0;  ///< At most, of an episode; 0: to its end.
  uint64_t seed = 0;
  std::string size;  ///< "WIDTHxHEIGHT"; empty: the environment's own.
  double fps = 0;    ///< 0: real time with at most 25 pictures a second.
  bool plot = false;
};
/// Plays episodes and writes a GIF or PNG of them: becomes python/tandem_render.py, so that it
/// returns only where that cannot be started.
int RenderEnvironment(const EnvRenderOptions& options);

/// Adds `env` and its commands; what they do sets `code`.
void AddEnv(CLI::App& app, int& code);

}  // namespace tandem::cli
