#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

/// Balances a pole on a cart: Gymnasium's CartPole-v1 (Barto, Sutton and Anderson 1983), operation
/// by operation. Action: a choice of 2 as scores (see SpaceLayout), 10 N to the left or to the
/// right. Reward 1 for each step, 500 steps. State and observation: cart position [m], its speed
/// [m/s], pole angle from upright [rad], its speed [rad/s].
/// Source: https://gymnasium.farama.org/environments/classic_control/cart_pole/
absl::StatusOr<std::unique_ptr<Simulation>> MakeCartpole(const EnvironmentOptions& options);

/// The same with a continuous force, 10 N * action with action in [-1, 1], and 200 steps.
absl::StatusOr<std::unique_ptr<Simulation>> MakeCartpoleContinuous(
    const EnvironmentOptions& options);

/// |position| > 2.4 or |angle| > 12 degrees. See TerminationFunction.
void CartpoleTermination(std::span<const float> next_observations, int64_t obs_dim,
                         std::span<uint8_t> out);

}  // namespace tandem
