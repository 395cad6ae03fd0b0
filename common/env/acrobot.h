#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

/// Two links hang from a pivot and swing the lower end above a line, with a motor between them:
/// Gymnasium's Acrobot-v1 with the dynamics of Sutton and Barto's book, integrated by one step of
/// classical Runge-Kutta of 0.2 s. State: angle of the first link from hanging, angle of the second
/// from the first [rad], and their speeds [rad/s], within 4 pi and 9 pi. Observation: cosine and
/// sine of both angles, and the speeds. Start: each within 0.1 of 0.
///
/// Action: a choice of 3 as scores (see SpaceLayout): torque -1, 0, 1 N m. Reward -1 for each step,
/// 0 for the one that ends the episode; 500 steps.
/// Source: https://gymnasium.farama.org/environments/classic_control/acrobot/
absl::StatusOr<std::unique_ptr<Simulation>> MakeAcrobot(const EnvironmentOptions& options);

/// The lower end is more than 1 m, one link's length, above the pivot. See TerminationFunction.
void AcrobotTermination(std::span<const float> next_observations, int64_t obs_dim,
                        std::span<uint8_t> out);

}  // namespace tandem
