#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

/// Balances a pole on a cart with MuJoCo: Gymnasium's InvertedPendulum-v5, from Gymnasium's own XML
/// file. State and observation: cart position [m], pole angle from upright [rad], their speeds.
/// Action: motor input in [-3, 3]. A step is two of MuJoCo's, 0.04 s. Reward 1, but 0 for the step
/// that ends with |angle| > 0.2. 1000 steps.
/// Source: https://gymnasium.farama.org/environments/mujoco/inverted_pendulum/
///
/// The XML file is looked for in the folder that the environment variable TANDEM_MUJOCO_ASSETS
/// names, else where it was when Tandem was built. NOT_FOUND names both; INVALID_ARGUMENT passes on
/// MuJoCo's words about a file that it cannot read.
absl::StatusOr<std::unique_ptr<Simulation>> MakeInvertedPendulum(const EnvironmentOptions& options);

/// Not finite, or |angle| > 0.2. See TerminationFunction.
void InvertedPendulumTermination(std::span<const float> next_observations, int64_t obs_dim,
                                 std::span<uint8_t> out);

}  // namespace tandem
