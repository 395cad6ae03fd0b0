#include <memory>

#include "cli/env_commands.h"

namespace tandem::cli {
namespace {

void AddTarget(CLI::App* command, EnvTarget& target) {
  command->add_option(
      "environment", target.source,
      "A built-in name, gym:ID, host:port, unix:PATH, or dm_env_rpc: and an address");
  command->add_option("--command", target.command,
                      "Program and arguments that serve it, instead of the environment");
  command->add_option("--arguments", target.arguments, "JSON object for the environment's maker");
}

void AddList(CLI::App* env, int& code) {
  auto json = std::make_shared<bool>(false);
  CLI::App* list = env->add_subcommand("list", "List the built-in environments");
  list->add_flag("--json", *json, "One JSON object a line");
  list->callback([json, &code] { code = ListEnvironments(*json); });
}

void AddBench(CLI::App* env, int& code) {
  auto options = std::make_shared<EnvBenchOptions>();
  CLI::App* bench = env->add_subcommand("bench", "Measure how fast environments step");
  AddTarget(bench, options->target);
  bench->add_option("--num-envs", options->target.num_envs, "Environments stepped as one batch [1]")
      ->check(CLI::Range(1, 65536));
  bench->add_option("--threads", options->target.threads, "Threads that step built-in ones [1]")
      ->check(CLI::Range(1, 256));
  bench->add_option("--seconds", options->seconds, "How long to measure [3]")
      ->check(CLI::Range(0.1, 3600.0));
  bench->add_flag("--json", options->json, "One JSON object");
  bench->callback([options, &code] { code = BenchEnvironment(*options); });
}

}  // namespace

void AddEnv(CLI::App& app, int& code) {
  CLI::App* env = app.add_subcommand("env", "List, check and measure environments");
  env->require_subcommand(1);
  AddList(env, code);
  AddBench(env, code);
}

}  // namespace tandem::cli
