#include "common/env/gridworld.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"

namespace tandem {
namespace {

constexpr std::array<Cell, 5> kMoves = {{{-1, 0}, {0, 1}, {1, 0}, {0, -1}, {0, 0}}};

class GridSimulation : public Simulation {
 public:
  GridSimulation(const char* name, int64_t steps, const Gridworld& grid,
                 const EnvironmentOptions& options)
      : Simulation(Spec(name, steps, grid), options), grid_(grid) {}

  bool noisy() const override { return grid_.slip > 0; }
  SpaceLayout observation_layout() const override {
    return SpaceLayout::OfChoice(SpaceLayout::Use::kObservation, grid_.states());
  }
  SpaceLayout action_layout() const override {
    return SpaceLayout::OfChoice(SpaceLayout::Use::kAction, grid_.actions);
  }
  size_t state_dim() const override { return 1; }

 protected:
  bool HasStartRange() const override { return false; }
  void DrawState(Rng&, double, std::span<double> state) const override {
    state[0] = grid_.State(grid_.start);
  }
  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    state[0] = static_cast<double>(HighestScore(observation));
    return absl::OkStatus();
  }
  void Enter(std::span<const double> state) override {
    state_.reset();
    if (state[0] >= 0 && state[0] < grid_.states()) state_ = static_cast<int>(state[0]);
  }

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    if (!state_.has_value()) {
      return absl::InternalError(absl::StrCat(spec().name, ": the state is no cell of the grid"));
    }
    const double reward =
        *state_ == grid_.State(grid_.goal) ? grid_.goal_reward : grid_.other_reward;
    int choice = static_cast<int>(HighestScore(action));
    if (grid_.slip > 0 && rng().Uniform() < grid_.slip) {
      choice = static_cast<int>(rng().Below(static_cast<uint64_t>(grid_.actions)));
    }
    state_ = grid_.State(grid_.Move(grid_.CellOf(*state_), choice));
    return StepResult{.reward = static_cast<float>(reward)};
  }

  void Observe(std::span<float> observation) const override {
    std::fill(observation.begin(), observation.end(), 0.0f);
    if (state_.has_value()) observation[static_cast<size_t>(*state_)] = 1;
  }

 private:
  static EnvironmentSpec Spec(const char* name, int64_t steps, const Gridworld& grid) {
    EnvironmentSpec spec;
    spec.name = name;
    spec.observation = SpaceLayout::OfChoice(SpaceLayout::Use::kObservation, grid.states()).flat();
    spec.action = SpaceLayout::OfChoice(SpaceLayout::Use::kAction, grid.actions).flat();
    spec.max_episode_steps = steps;
    return spec;
  }

  const Gridworld grid_;
  std::optional<int> state_;  // none: entered with a number that is no state
};

}  // namespace

bool Gridworld::IsWall(Cell cell) const {
  return cell.row < wall_rows && cell.column >= wall_first_column &&
         cell.column <= wall_last_column;
}

std::vector<int> Gridworld::FreeStates() const {
  std::vector<int> free;
  for (int s = 0; s < states(); ++s) {
    if (!IsWall(CellOf(s))) free.push_back(s);
  }
  return free;
}

Cell Gridworld::Move(Cell from, int action) const {
  const Cell by = kMoves[static_cast<size_t>(action)];
  const Cell to = {std::clamp(from.row + by.row, 0, size - 1),
                   std::clamp(from.column + by.column, 0, size - 1)};
  return IsWall(to) ? from : to;
}

Gridworld SlipperyGrid() {
  return {.size = 10,
          .actions = 4,
          .slip = 0.5,
          .wall_rows = 6,
          .wall_first_column = 4,
          .wall_last_column = 5,
          .start = {0, 0},
          .goal = {0, 9},
          .goal_reward = 10,
          .other_reward = 1e-3};
}

Gridworld DetourGrid() {
  return {.size = 15,
          .actions = 5,
          .slip = 0,
          .wall_rows = 8,
          .wall_first_column = 7,
          .wall_last_column = 7,
          .start = {0, 0},
          .goal = {2, 12},
          .goal_reward = 100,
          .other_reward = 1};
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeGridworld(const EnvironmentOptions& options) {
  return std::make_unique<GridSimulation>("gridworld", 200, SlipperyGrid(), options);
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeGridworldWall(const EnvironmentOptions& options) {
  return std::make_unique<GridSimulation>("gridworld_wall", 100, DetourGrid(), options);
}

}  // namespace tandem
