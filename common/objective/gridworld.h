#pragma once

#include "common/env/gridworld.h"
#include "common/objective/tabular_mdp.h"

namespace tandem::objective {

/// The grid (common/env/gridworld.h) as a decision process.
TabularMdp BuildMdp(const Gridworld& grid, double discount = 0.9);

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
