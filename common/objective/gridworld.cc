#include "common/objective/gridworld.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace tandem::objective {
namespace {

constexpr std::array<Cell, 5> kMoves = {{{-1, 0}, {0, 1}, {1, 0}, {0, -1}, {0, 0}}};

using Displacements = std::map<std::pair<int, int>, double>;

/// What `dynamics` does in the block that begins at `corner`, as a mean over its cells.
Displacements MeanDisplacement(const TabularDynamics& dynamics, int size, int block, Cell corner,
                               int action) {
  Displacements mean;
  for (int row = corner.row; row < corner.row + block; ++row) {
    for (int column = corner.column; column < corner.column + block; ++column) {
      for (const auto& [next, p] : dynamics.Row(row * size + column, action)) {
        mean[{next / size - row, next % size - column}] += p / (block * block);
      }
    }
  }
  return mean;
}

}  // namespace

bool Gridworld::IsWall(Cell cell) const {
  return cell.row < wall_rows && cell.column >= wall_first_column &&
         cell.column <= wall_last_column;
}

std::vector<int> Gridworld::FreeStates() const {
  std::vector<int> states;
  for (int s = 0; s < size * size; ++s) {
    if (!IsWall(CellOf(s))) states.push_back(s);
  }
  return states;
}

Cell Gridworld::Move(Cell from, int action) const {
  const Cell to = {std::clamp(from.row + kMoves[action].row, 0, size - 1),
                   std::clamp(from.column + kMoves[action].column, 0, size - 1)};
  return IsWall(to) ? from : to;
}

TabularMdp Gridworld::Build() const {
  const int states = size * size;
  TabularMdp mdp{TabularDynamics(states, actions), StateActionTable(states * actions, other_reward),
                 discount, State(start)};
  for (int s = 0; s < states; ++s) {
    for (int action = 0; action < actions; ++action) {
      std::vector<Branch> row = {{State(Move(CellOf(s), action)), 1 - slip}};
      for (int other = 0; other < actions; ++other) {
        row.push_back({State(Move(CellOf(s), other)), slip / actions});
      }
      mdp.dynamics.SetRow(s, action, row);
    }
  }
  std::fill_n(mdp.rewards.begin() + State(goal) * actions, actions, goal_reward);
  return mdp;
}

TabularDynamics TieWithinBlocks(const TabularDynamics& dynamics, int size, int block) {
  TabularDynamics tied(dynamics.states(), dynamics.actions());
  for (int s = 0; s < dynamics.states(); ++s) {
    const Cell cell = {s / size, s % size};
    const Cell corner = {cell.row / block * block, cell.column / block * block};
    for (int action = 0; action < dynamics.actions(); ++action) {
      std::vector<Branch> row;
      for (const auto& [by, p] : MeanDisplacement(dynamics, size, block, corner, action)) {
        const int to_row = std::clamp(cell.row + by.first, 0, size - 1);
        const int to_column = std::clamp(cell.column + by.second, 0, size - 1);
        row.push_back({to_row * size + to_column, p});
      }
      tied.SetRow(s, action, row);
    }
  }
  return tied;
}

TabularMdp RiskyLine() {
  constexpr int kStates = 3, kActions = 3;
  constexpr std::array<double, kStates> kRewards = {50, 1, 51};
  TabularMdp mdp{TabularDynamics(kStates, kActions), StateActionTable(kStates * kActions), 0.9, 1};
  for (int s = 0; s < kStates; ++s) {
    for (int action = 0; action < kActions; ++action) {
      const int aim = std::clamp(s + action - 1, 0, kStates - 1);
      const double slip = s == 2 ? 0.5 : 0;
      mdp.dynamics.SetRow(s, action, std::array<Branch, 2>{{{aim, 1 - slip}, {1, slip}}});
      mdp.rewards[s * kActions + action] = kRewards[s];
    }
  }
  return mdp;
}

}  // namespace tandem::objective
