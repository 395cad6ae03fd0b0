#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

/// Balances a pole on a cart with a continuous force: the dynamics, limits and start states of
/// Gymnasium's CartPole, force = 10 N * action with action in [-1, 1], reward 1 for each step, 200
/// steps. State and observation: cart position [m], its speed [m/s], pole angle from upright [rad],
/// its speed [rad/s]. Source: https://gymnasium.farama.org/environments/classic_control/cart_pole/
absl::StatusOr<std::unique_ptr<Simulation>> MakeCartpoleContinuous(
    const EnvironmentOptions& options);

/// |position| > 2.4 or |angle| > 12 degrees. See TerminationFunction.
void CartpoleTermination(std::span<const float> next_observations, int64_t obs_dim,
                         std::span<uint8_t> out);

}  // namespace tandem
