#include "common/objective/gridworld.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

namespace tandem::objective {
namespace {

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

TabularMdp BuildMdp(const Gridworld& grid, double discount) {
  const int states = grid.states(), actions = grid.actions;
  TabularMdp mdp{TabularDynamics(states, actions),
                 StateActionTable(states * actions, grid.other_reward), discount,
                 grid.State(grid.start)};
  for (int s = 0; s < states; ++s) {
    for (int action = 0; action < actions; ++action) {
      const auto lands = [&](int a) { return grid.State(grid.Move(grid.CellOf(s), a)); };
      std::vector<Branch> row = {{lands(action), 1 - grid.slip}};
      for (int other = 0; other < actions; ++other) {
        row.push_back({lands(other), grid.slip / actions});
      }
      mdp.dynamics.SetRow(s, action, row);
    }
  }
  std::fill_n(mdp.rewards.begin() + grid.State(grid.goal) * actions, actions, grid.goal_reward);
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
