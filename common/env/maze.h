#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

/// A point or a displacement in a maze, in cells: row (down), column (right).
using MazePoint = std::array<double, 2>;

/// Side of every maze [cells]: points lie in [0, kMazeSize]^2.
inline constexpr double kMazeSize = 15;

/// The inside of a rectangle, which no point enters; its border is free. A wall that touches the
/// edge of the maze reaches beyond it, so that nothing slips between the two.
struct MazeWall {
  MazePoint low;
  MazePoint high;
};

/// A maze: what is different from one to the next. Immutable.
struct MazeLayout {
  const char* name;
  MazePoint start;
  MazePoint goal;  ///< Centre of the goal, the square of points at most 1 cell away on either axis.
  std::array<MazeWall, 2> walls;
  float goal_reward;   ///< For a step that ends in the goal.
  float other_reward;  ///< For any other step.
};

/// The mazes, each of which is registered as an environment. A point moves in the plane; what it
/// wants is to reach the goal and to stay there for the rest of 50 steps. Nothing ends an episode
/// earlier.
///
///   maze         one wall from the top edge between start and goal; the way round is 10 steps
///   maze_zigzag  two walls with gaps at opposite ends; 16 steps. The physics and the rewards of
///                `maze`, in a shape that no default of Tandem was chosen on
///   maze_sparse  `maze` with reward 1 in the goal and 0 elsewhere
///
/// Action: two numbers in [-1, 1]. A step moves the point by 2 cells * action + N(0, 0.15^2) noise
/// on each axis, drawn from the environment's own stream also where the action is 0. Reward: by
/// where the step ended; 100 in the goal, else 1.
///
/// Walls and edges. The point goes in a straight line until it hits a wall or an edge. What is left
/// of the displacement then loses its part towards the obstacle and goes on along it, until the
/// next hit. Nothing is ever jumped over, however long the step.
///
/// State: the point [cells]. Observation: the point scaled to [-1, 1], position * 2/15 - 1, for
/// policies read observations as they are. A state inside a wall moves to its nearest free border.
/// Start: uniform within 0.1 cells of `start` on either axis, at scale 1.
///
/// `maze` is the continuous maze on which the joint objective was first tried, but for two things:
/// the start has the range above, and observations are scaled. Displacement, noise, wall, goal,
/// rewards and the limit of 50 steps are the same.
std::span<const MazeLayout> MazeLayouts();

/// The layout of that name; null where there is none.
const MazeLayout* FindMaze(std::string_view name);

/// The point, [cells], that shows itself as `observation`, [2]. Not checked against walls.
MazePoint MazePosition(std::span<const float> observation);

/// Whether the point lies in the goal, the border included.
bool InGoal(const MazeLayout& maze, const MazePoint& point);

/// Where a point at `from`, which is free, ends when it is moved by `by`: the rule above. Pure.
MazePoint Slide(const MazeLayout& maze, MazePoint from, MazePoint by);

/// The RewardFunction of each maze: by whether a step ends in the goal.
void MazeReward(std::span<const float> next_observations, int64_t obs_dim, std::span<float> out);
void MazeZigzagReward(std::span<const float> next_observations, int64_t obs_dim,
                      std::span<float> out);
void MazeSparseReward(std::span<const float> next_observations, int64_t obs_dim,
                      std::span<float> out);

absl::StatusOr<std::unique_ptr<Simulation>> MakeMaze(const EnvironmentOptions& options);
absl::StatusOr<std::unique_ptr<Simulation>> MakeMazeZigzag(const EnvironmentOptions& options);
absl::StatusOr<std::unique_ptr<Simulation>> MakeMazeSparse(const EnvironmentOptions& options);

}  // namespace tandem
