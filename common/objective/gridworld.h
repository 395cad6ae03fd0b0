#pragma once

#include <vector>

#include "common/objective/tabular_mdp.h"

namespace tandem::objective {

struct Cell {
  int row = 0;
  int column = 0;
};

/// A square grid with one wall. Actions: 0 up (row - 1), 1 right, 2 down, 3 left, and 4 stay where
/// there are five. A move off the grid or into the wall leaves the agent where it is. Cells of the
/// wall are states too (never entered); state = row * size + column.
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
  double discount = 0.9;

  int State(Cell cell) const { return cell.row * size + cell.column; }
  Cell CellOf(int state) const { return {state / size, state % size}; }
  bool IsWall(Cell cell) const;
  /// All states outside the wall.
  std::vector<int> FreeStates() const;
  /// Where an action leads that does not slip.
  Cell Move(Cell from, int action) const;
  TabularMdp Build() const;
};

/// An aliased model class: the law of the displacement (rows, columns) is the same in all cells of
/// a block of `block` x `block` cells, namely the mean of what `dynamics` does there. Displacements
/// that lead off the grid end at its edge; the wall is unknown to it, so that the model leaks
/// through. size must be a multiple of block.
TabularDynamics TieWithinBlocks(const TabularDynamics& dynamics, int size, int block);

/// Three states in a line, start in the middle (state 1). Left (state 0) pays 50 and can be kept
/// for sure, right (state 2) pays 51 but slips back with probability 1/2, the middle pays 1.
/// Actions: 0 left, 1 stay, 2 right. A risk-seeking objective goes right. Discount 0.9.
TabularMdp RiskyLine();

}  // namespace tandem::objective
