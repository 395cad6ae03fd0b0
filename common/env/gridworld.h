#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

struct Cell {
  int row = 0;
  int column = 0;
};

/// A square grid with one wall. Actions: 0 up (row - 1), 1 right, 2 down, 3 left, and 4 stay where
/// there are five. A move off the grid or into the wall leaves the agent where it is. Cells of the
/// wall are states too (never entered); state = row * size + column. Nothing is terminal.
struct Gridworld {
  int size = 10;
  int actions = 4;  ///< 4, or 5 with stay.
  double slip = 0;  ///< Probability that the action is replaced by a uniform one (maybe the same).
  int wall_rows = 0;          ///< The wall fills rows 0 to wall_rows - 1 ...
  int wall_first_column = 0;  ///< ... of the columns from here
  int wall_last_column = 0;   ///< to here.
  Cell start;
  Cell goal;
  double goal_reward = 1;   ///< For any action taken in the goal; > 0.
  double other_reward = 1;  ///< For any other action; > 0.

  int states() const { return size * size; }
  int State(Cell cell) const { return cell.row * size + cell.column; }
  Cell CellOf(int state) const { return {state / size, state % size}; }
  bool IsWall(Cell cell) const;
  /// All states outside the wall.
  std::vector<int> FreeStates() const;
  /// Where an action leads that does not slip.
  Cell Move(Cell from, int action) const;
};

/// The grid of figure 2a of the MnM paper (arXiv 2110.02758): 10 x 10, slip 1/2, a wall two columns
/// thick down to row 5 between start and goal; reward 10 in the goal, else 0.001.
Gridworld SlipperyGrid();

/// The grid of figure 2b: 15 x 15, no slip, five actions, a wall one column thick down to row 7;
/// reward 100 in the goal, else 1. A model that is coarser than the wall leaks through it.
Gridworld DetourGrid();

/// SlipperyGrid() as the environment "gridworld", 200 steps, and DetourGrid() as "gridworld_wall",
/// 100 steps.
///
/// Action: one of 4 or 5 choices, as scores (see SpaceLayout). Observation: the state, one-hot.
/// Reward: by the cell in which the action is taken. Start: always the same cell, so that there is
/// no range to widen. State: the number of the cell; INTERNAL on a Step from any other number.
absl::StatusOr<std::unique_ptr<Simulation>> MakeGridworld(const EnvironmentOptions& options);
absl::StatusOr<std::unique_ptr<Simulation>> MakeGridworldWall(const EnvironmentOptions& options);

}  // namespace tandem
