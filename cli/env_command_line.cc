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

void AddServe(CLI::App* env, int& code) {
  auto options = std::make_shared<EnvServeOptions>();
  CLI::App* serve = env->add_subcommand(
      "serve", "Serve a built-in environment as tandem.env.v1 and as dm_env_rpc");
  serve->add_option("environment", options->name, "A built-in name; see env list")->required();
  serve->add_option("--listen", options->listen,
                    "\"host:port\", or \"unix:/path\" [a free port of this machine]");
  serve->add_option("--num-envs", options->num_envs, "Environments that may be open at a time [64]")
      ->check(CLI::Range(1, 65536));
  serve->callback([options, &code] { code = ServeEnvironment(*options); });
}

void AddCheck(CLI::App* env, int& code) {
  auto target = std::make_shared<EnvTarget>();
  CLI::App* check = env->add_subcommand("check", "Check what an environment or a server promises");
  AddTarget(check, *target);
  check->footer("Exit code: 0 all checks passed, 1 one failed, 2 wrong command line.");
  check->callback([target, &code] { code = CheckEnvironment(*target); });
}

void AddRender(CLI::App* env, int& code) {
  auto options = std::make_shared<EnvRenderOptions>();
  CLI::App* render = env->add_subcommand("render", "Play episodes and show them as a GIF or PNG");
  render
      ->add_option("environment", options->environment,
                   "A built-in name, gym:ID, host:port or unix:PATH")
      ->required();
  render->add_option("--policy", options->policy,
                     "Folder of a run, its snapshot, or address of its policy_trainer [random]");
  render->add_option("--out", options->out, "FILE.gif or FILE.png [episode.gif]");
  render->add_option("--episodes", options->episodes, "How many [1]")->check(CLI::Range(1, 100));
  render->add_option("--steps", options->steps, "At most, of an episode [to its end]")
      ->check(CLI::Range(1, 1000000));
  render->add_option("--seed", options->seed, "Of the first episode [0]");
  render->add_option("--size", options->size, "WIDTHxHEIGHT in pixels [the environment's own]");
  render->add_option("--fps", options->fps, "Pictures a second [25 or the environment's own]")
      ->check(CLI::Range(0.1, 100.0));
  render->add_flag("--plot", options->plot, "Plot also what can be drawn");
  render->add_option("--arguments", options->arguments, "JSON object for the environment's maker");
  render->callback([options, &code] { code = RenderEnvironment(*options); });
}

}  // namespace

void AddEnv(CLI::App& app, int& code) {
  CLI::App* env = app.add_subcommand("env", "List, serve, check, measure and show environments");
  env->require_subcommand(1);
  AddList(env, code);
  AddServe(env, code);
  AddCheck(env, code);
  AddBench(env, code);
  AddRender(env, code);
}

}  // namespace tandem::cli
