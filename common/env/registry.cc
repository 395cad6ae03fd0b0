#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/nearest.h"
#include "common/base/status_macros.h"
#include "common/env/acrobot.h"
#include "common/env/cartpole.h"
#include "common/env/environment.h"
#include "common/env/gridworld.h"
#include "common/env/known_reward.h"
#include "common/env/maze.h"
#include "common/env/mountain_car.h"
#include "common/env/mujoco_tasks.h"
#include "common/env/pendulum.h"

namespace tandem {
namespace {

constexpr char kGymnasiumPrefix[] = "gym:";

struct Entry {
  const char* name;
  absl::StatusOr<std::unique_ptr<Simulation>> (*make)(const EnvironmentOptions&);
  TerminationFunction termination;  // null: not published
  const char* gymnasium_id;         // of the same task in Gymnasium; null: it has none
  RewardFunction reward = nullptr;  // null: not published
};

// One line for each environment, by name.
constexpr Entry kEntries[] = {
    {"acrobot", MakeAcrobot, AcrobotTermination, "Acrobot-v1"},
    {"ant", MakeMujoco<kAnt>, MujocoTermination<kAnt>, "Ant-v5"},
    {"cartpole", MakeCartpole, CartpoleTermination, "CartPole-v1"},
    {"cartpole_continuous", MakeCartpoleContinuous, CartpoleTermination, nullptr},
    {"gridworld", MakeGridworld, NeverTerminal, nullptr},
    {"gridworld_wall", MakeGridworldWall, NeverTerminal, nullptr},
    {"half_cheetah", MakeMujoco<kHalfCheetah>, NeverTerminal, "HalfCheetah-v5"},
    {"hopper", MakeMujoco<kHopper>, MujocoTermination<kHopper>, "Hopper-v5"},
    {"humanoid", MakeMujoco<kHumanoid>, MujocoTermination<kHumanoid>, "Humanoid-v5"},
    {"inverted_double_pendulum", MakeMujoco<kInvertedDoublePendulum>,
     MujocoTermination<kInvertedDoublePendulum>, "InvertedDoublePendulum-v5"},
    {"inverted_pendulum", MakeMujoco<kInvertedPendulum>, MujocoTermination<kInvertedPendulum>,
     "InvertedPendulum-v5"},
    {"maze", MakeMaze, NeverTerminal, nullptr, MazeReward},
    {"maze_sparse", MakeMazeSparse, NeverTerminal, nullptr, MazeSparseReward},
    {"maze_zigzag", MakeMazeZigzag, NeverTerminal, nullptr, MazeZigzagReward},
    {"mountain_car", MakeMountainCar, MountainCarTermination, "MountainCar-v0"},
    {"mountain_car_continuous", MakeMountainCarContinuous, MountainCarContinuousTermination,
     "MountainCarContinuous-v0"},
    {"pendulum", MakePendulum, NeverTerminal, "Pendulum-v1"},
    {"pusher", MakeMujoco<kPusher>, NeverTerminal, "Pusher-v5"},
    {"reacher", MakeMujoco<kReacher>, NeverTerminal, "Reacher-v5"},
    {"swimmer", MakeMujoco<kSwimmer>, NeverTerminal, "Swimmer-v5"},
    {"walker2d", MakeMujoco<kWalker2d>, MujocoTermination<kWalker2d>, "Walker2d-v5"},
};

/// "did you mean ...?" for a name that is no built-in environment's; empty where nothing is near.
std::string HintFor(const std::string& name, const std::vector<std::string>& names) {
  if (const std::optional<std::string> twin = BuiltInNameOf(name); twin.has_value()) {
    return absl::StrCat("did you mean \"", *twin, "\", which is built in, or \"", kGymnasiumPrefix,
                        name, "\"?");
  }
  std::string nearest(NearestName(name, names));
  const size_t version = name.rfind("-v");  // as Gymnasium's ids end
  if (nearest.empty() && version != std::string::npos &&
      name.find_first_not_of("0123456789", version + 2) == std::string::npos) {
    nearest = kGymnasiumPrefix + name;
  }
  return nearest.empty() ? "" : absl::StrCat("did you mean \"", nearest, "\"?");
}

absl::StatusOr<const Entry*> Find(const std::string& name) {
  for (const Entry& entry : kEntries) {
    if (name == entry.name) return &entry;
  }
  const std::vector<std::string> names = EnvironmentNames();
  const std::string hint = HintFor(name, names);
  return absl::NotFoundError(
      absl::StrCat("unknown environment \"", name, "\"; ", hint,
                   hint.empty() ? "known: " : " Known: ", absl::StrJoin(names, ", ")));
}

}  // namespace

std::vector<std::string> EnvironmentNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeSimulation(const std::string& name,
                                                           const EnvironmentOptions& options) {
  TANDEM_ASSIGN_OR_RETURN(const Entry* entry, Find(name));
  return entry->make(options);
}

absl::StatusOr<std::unique_ptr<Environment>> MakeEnvironment(const std::string& name,
                                                             const EnvironmentOptions& options) {
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<Environment> environment, MakeSimulation(name, options));
  return environment;
}

std::optional<std::string> GymnasiumIdOf(const std::string& name) {
  const absl::StatusOr<const Entry*> entry = Find(name);
  if (!entry.ok() || (*entry)->gymnasium_id == nullptr) return std::nullopt;
  return (*entry)->gymnasium_id;
}

std::optional<std::string> BuiltInNameOf(const std::string& gymnasium_id) {
  for (const Entry& entry : kEntries) {
    if (entry.gymnasium_id != nullptr && gymnasium_id == entry.gymnasium_id) return entry.name;
  }
  return std::nullopt;
}

absl::StatusOr<TerminationFunction> KnownTermination(const std::string& name) {
  absl::string_view id = name;
  const bool of_gymnasium = absl::ConsumePrefix(&id, kGymnasiumPrefix);
  const std::optional<std::string> twin =
      of_gymnasium ? BuiltInNameOf(std::string(id)) : std::nullopt;
  if (of_gymnasium && !twin.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the termination function of ", name,
                     " is not known: set model.termination to LEARNED or NEVER"));
  }
  TANDEM_ASSIGN_OR_RETURN(const Entry* entry, Find(twin.value_or(name)));
  if (entry->termination == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " publishes no termination function: set model.termination to LEARNED or NEVER"));
  }
  return entry->termination;
}

absl::StatusOr<RewardFunction> KnownReward(const std::string& name) {
  TANDEM_ASSIGN_OR_RETURN(const Entry* entry, Find(name));
  if (entry->reward == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " publishes no reward function: set model.known_reward to false"));
  }
  return entry->reward;
}

}  // namespace tandem
