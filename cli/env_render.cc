#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/env_commands.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/clients/environment_command.h"
#include "common/env/environment.h"
#include "common/env/gridworld.h"
#include "common/env/maze.h"

namespace tandem::cli {
namespace {

nlohmann::json Map(const MazeLayout& maze) {
  nlohmann::json walls = nlohmann::json::array();
  for (const MazeWall& wall : maze.walls) {
    if (wall.low == wall.high) continue;  // none
    walls.push_back({wall.low[0], wall.low[1], wall.high[0], wall.high[1]});
  }
  return {{"size", kMazeSize},
          {"walls", walls},
          {"goal", {maze.goal[0] - 1, maze.goal[1] - 1, maze.goal[0] + 1, maze.goal[1] + 1}},
          {"one_hot", false}};
}

nlohmann::json Map(const Gridworld& grid) {
  return {{"size", grid.size},
          {"walls", {{0, grid.wall_first_column, grid.wall_rows, grid.wall_last_column + 1}}},
          {"goal", {grid.goal.row, grid.goal.column, grid.goal.row + 1, grid.goal.column + 1}},
          {"one_hot", true}};
}

/// What tandem_render.py's Field says of an environment in the plane; null for others.
nlohmann::json MapOf(const std::string& name) {
  if (const MazeLayout* maze = FindMaze(name); maze != nullptr) return Map(*maze);
  if (name == "gridworld") return Map(SlipperyGrid());
  if (name == "gridworld_wall") return Map(DetourGrid());
  return nullptr;
}

absl::StatusOr<clients::EnvironmentProcess::Options> RenderCommand(
    const EnvRenderOptions& options) {
  TANDEM_ASSIGN_OR_RETURN(clients::EnvironmentProcess::Options command,
                          clients::PythonCommand("tandem_render"));
  std::vector<std::string>& argv = command.argv;
  const auto add = [&argv](const std::string& flag, const std::string& value) {
    if (!value.empty()) argv.push_back(absl::StrCat(flag, "=", value));
  };
  add("--policy", options.policy);
  add("--out", options.out);
  add("--size", options.size);
  add("--arguments", options.arguments);
  add("--episodes", absl::StrCat(options.episodes));
  add("--steps", absl::StrCat(options.steps));
  add("--seed", absl::StrCat(options.seed));
  add("--fps", absl::StrCat(options.fps));
  if (options.plot) argv.push_back("--plot");
  if (!absl::StrContains(options.environment, ':')) {  // one of ours
    TANDEM_RETURN_IF_ERROR(MakeEnvironment(options.environment).status());
    add("--twin", GymnasiumIdOf(options.environment).value_or(""));
    const nlohmann::json map = MapOf(options.environment);
    if (!map.is_null()) add("--map", map.dump());
    std::error_code error;
    add("--program", std::filesystem::read_symlink("/proc/self/exe", error).string());
  }
  argv.push_back("--");
  argv.push_back(options.environment);
  return command;
}

}  // namespace

int RenderEnvironment(const EnvRenderOptions& options) {
  const auto command = RenderCommand(options);
  if (!command.ok()) return Fail(command.status(), kUsage);
  for (const auto& [name, value] : command->environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : command->argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  return Fail(ErrnoStatus(
      errno, absl::StrCat("start ", command->argv[0], " (TANDEM_PYTHON chooses the interpreter)")));
}

}  // namespace tandem::cli
