#include "common/env/maze.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace tandem {
namespace {

constexpr double kStride = 2;
constexpr double kNoise = 0.15;
constexpr double kStartRange = 0.1;
constexpr double kGoalRange = 1;
constexpr double kOutside = 1;  // how far a wall at the edge reaches beyond it
constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr MazeWall kTopWall = {{-kOutside, 6.5}, {8, 8.5}};
constexpr MazeWall kNoWall = {};  // has no inside

constexpr MazeLayout kLayouts[] = {
    {.name = "maze",
     .start = {0.5, 0.5},
     .goal = {2.5, 12.5},
     .walls = {kTopWall, kNoWall},
     .goal_reward = 100,
     .other_reward = 1},
    {.name = "maze_zigzag",
     .start = {0.5, 0.5},
     .goal = {12.5, 12.5},
     .walls = {{{{-kOutside, 4}, {10, 6}}, {{5, 9}, {kMazeSize + kOutside, 11}}}},
     .goal_reward = 100,
     .other_reward = 1},
    {.name = "maze_sparse",
     .start = {0.5, 0.5},
     .goal = {2.5, 12.5},
     .walls = {kTopWall, kNoWall},
     .goal_reward = 1,
     .other_reward = 0},
};

float RewardAt(const MazeLayout& maze, const MazePoint& point) {
  return InGoal(maze, point) ? maze.goal_reward : maze.other_reward;
}

void RewardsOf(const char* name, std::span<const float> next_observations, int64_t obs_dim,
               std::span<float> out) {
  const MazeLayout& maze = *FindMaze(name);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = RewardAt(maze, MazePosition(next_observations.subspan(i * obs_dim, obs_dim)));
  }
}

bool Inside(const MazeWall& wall, const MazePoint& point) {
  return point[0] > wall.low[0] && point[0] < wall.high[0] && point[1] > wall.low[1] &&
         point[1] < wall.high[1];
}

// The point itself where it is free, else the nearest free one.
MazePoint Free(const MazeLayout& maze, MazePoint point) {
  for (double& x : point) x = std::clamp(x, 0.0, kMazeSize);
  for (const MazeWall& wall : maze.walls) {
    if (!Inside(wall, point)) continue;
    const MazePoint inside = point;
    double nearest = kInfinity;
    for (size_t axis = 0; axis < 2; ++axis) {
      for (const double face : {wall.low[axis], wall.high[axis]}) {
        const double distance = std::abs(face - inside[axis]);
        if (face < 0 || face > kMazeSize || distance >= nearest) continue;
        nearest = distance;
        point = inside;
        point[axis] = face;
      }
    }
  }
  return point;
}

// What a straight move meets first: at which share of the move, on which axis, where.
struct Hit {
  double time = 1;  // 1: nothing
  size_t axis = 0;
  double face = 0;
};

void MeetEdges(const MazePoint& from, const MazePoint& by, Hit& first) {
  for (size_t axis = 0; axis < 2; ++axis) {
    if (by[axis] == 0) continue;
    const double edge = by[axis] > 0 ? kMazeSize : 0;
    const double time = (edge - from[axis]) / by[axis];
    if (time < first.time) first = {time, axis, edge};
  }
}

// The move is inside the wall while both its coordinates are.
void MeetWall(const MazeWall& wall, const MazePoint& from, const MazePoint& by, Hit& first) {
  Hit entry = {-kInfinity};
  double leaves = first.time;
  for (size_t axis = 0; axis < 2; ++axis) {
    if (by[axis] == 0) {
      if (from[axis] <= wall.low[axis] || from[axis] >= wall.high[axis]) return;
      continue;
    }
    const double near = by[axis] > 0 ? wall.low[axis] : wall.high[axis];
    const double far = by[axis] > 0 ? wall.high[axis] : wall.low[axis];
    const double time = (near - from[axis]) / by[axis];
    if (time > entry.time) entry = {time, axis, near};
    leaves = std::min(leaves, (far - from[axis]) / by[axis]);
  }
  if (entry.time >= 0 && entry.time < leaves) first = entry;
}

class Maze : public Simulation {
 public:
  Maze(const MazeLayout& maze, const EnvironmentOptions& options)
      : Simulation(Spec(maze), options), maze_(maze) {}

  bool noisy() const override { return true; }
  size_t state_dim() const override { return point_.size(); }

 protected:
  void DrawState(Rng& rng, double scale, std::span<double> state) const override {
    MazePoint offset;
    for (double& x : offset) x = scale * rng.Uniform(-kStartRange, kStartRange);
    const MazePoint start = Slide(maze_, maze_.start, offset);
    std::copy(start.begin(), start.end(), state.begin());
  }
  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    const MazePoint point = MazePosition(observation);
    std::copy(point.begin(), point.end(), state.begin());
    return absl::OkStatus();
  }
  void Enter(std::span<const double> state) override {
    std::copy(state.begin(), state.end(), point_.begin());
    point_ = Free(maze_, point_);
  }

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    MazePoint by;
    for (size_t i = 0; i < by.size(); ++i) by[i] = kStride * action[i] + kNoise * rng().Normal();
    point_ = Slide(maze_, point_, by);
    return StepResult{.reward = RewardAt(maze_, point_)};
  }

  void Observe(std::span<float> observation) const override {
    for (size_t i = 0; i < point_.size(); ++i) {
      observation[i] = static_cast<float>(point_[i] * (2 / kMazeSize) - 1);
    }
  }

 private:
  static EnvironmentSpec Spec(const MazeLayout& maze) {
    EnvironmentSpec spec;
    spec.name = maze.name;
    spec.observation = {{-1, -1}, {1, 1}};
    spec.action = {{-1, -1}, {1, 1}};
    spec.max_episode_steps = 50;
    return spec;
  }

  const MazeLayout& maze_;  // in kLayouts
  MazePoint point_ = {};
};

}  // namespace

std::span<const MazeLayout> MazeLayouts() { return kLayouts; }

const MazeLayout* FindMaze(std::string_view name) {
  for (const MazeLayout& maze : kLayouts) {
    if (name == maze.name) return &maze;
  }
  return nullptr;
}

MazePoint MazePosition(std::span<const float> observation) {
  return {(observation[0] + 1.0) * (kMazeSize / 2), (observation[1] + 1.0) * (kMazeSize / 2)};
}

bool InGoal(const MazeLayout& maze, const MazePoint& point) {
  return std::abs(point[0] - maze.goal[0]) <= kGoalRange &&
         std::abs(point[1] - maze.goal[1]) <= kGoalRange;
}

MazePoint Slide(const MazeLayout& maze, MazePoint from, MazePoint by) {
  for (int leg = 0; leg < 3; ++leg) {  // a hit stops one axis, so that the third leg has no length
    Hit first;
    MeetEdges(from, by, first);
    for (const MazeWall& wall : maze.walls) MeetWall(wall, from, by, first);
    for (size_t axis = 0; axis < 2; ++axis) from[axis] += first.time * by[axis];
    const bool hit = first.time < 1;
    if (hit) from[first.axis] = first.face;
    from = Free(maze, from);  // rounding may have put it a hair into a wall
    if (!hit) break;
    for (double& x : by) x *= 1 - first.time;
    by[first.axis] = 0;
  }
  return from;
}

void MazeReward(std::span<const float> next_observations, int64_t obs_dim, std::span<float> out) {
  RewardsOf("maze", next_observations, obs_dim, out);
}

void MazeZigzagReward(std::span<const float> next_observations, int64_t obs_dim,
                      std::span<float> out) {
  RewardsOf("maze_zigzag", next_observations, obs_dim, out);
}

void MazeSparseReward(std::span<const float> next_observations, int64_t obs_dim,
                      std::span<float> out) {
  RewardsOf("maze_sparse", next_observations, obs_dim, out);
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeMaze(const EnvironmentOptions& options) {
  return std::make_unique<Maze>(*FindMaze("maze"), options);
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeMazeZigzag(const EnvironmentOptions& options) {
  return std::make_unique<Maze>(*FindMaze("maze_zigzag"), options);
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeMazeSparse(const EnvironmentOptions& options) {
  return std::make_unique<Maze>(*FindMaze("maze_sparse"), options);
}

}  // namespace tandem
