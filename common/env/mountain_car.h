#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

/// A car in a valley, too weak to drive straight up to the flag, swings itself up: Gymnasium's
/// MountainCar-v0 (Moore 1990), operation by operation. State and observation: position in [-1.2,
/// 0.6] and speed in [-0.07, 0.07] [per step]; the left end stops the car. Start: at rest, uniform
/// within 0.1 of the bottom at -0.5.
///
/// Action: a choice of 3 as scores (see SpaceLayout): push left, none, push right. Reward -1 for
/// each step until the flag at 0.5; 200 steps.
/// Source: https://gymnasium.farama.org/environments/classic_control/mountain_car/
absl::StatusOr<std::unique_ptr<Simulation>> MakeMountainCar(const EnvironmentOptions& options);

/// The same with a force in [-1, 1]: Gymnasium's MountainCarContinuous-v0, whose state is rounded
/// to float32 after each step. Reward: -0.1 * force^2, and 100 on reaching the flag, which stands
/// at 0.45; 999 steps. (Gymnasium charges for a force beyond its bounds what it would have cost;
/// here actions are clipped first.)
/// Source: https://gymnasium.farama.org/environments/classic_control/mountain_car_continuous/
absl::StatusOr<std::unique_ptr<Simulation>> MakeMountainCarContinuous(
    const EnvironmentOptions& options);

/// At the flag and not rolling back. See TerminationFunction.
void MountainCarTermination(std::span<const float> next_observations, int64_t obs_dim,
                            std::span<uint8_t> out);
void MountainCarContinuousTermination(std::span<const float> next_observations, int64_t obs_dim,
                                      std::span<uint8_t> out);

}  // namespace tandem
