#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

namespace tandem {

/// Swings a pendulum up and holds it there: Gymnasium's Pendulum-v1, operation by operation. State:
/// angle from upright [rad] and its speed [rad/s], in [-8, 8]. Observation: cosine and sine of the
/// angle, and the speed. Action: torque [N m] in [-2, 2]. 200 steps, no terminal state.
/// Source: https://gymnasium.farama.org/environments/classic_control/pendulum/
absl::StatusOr<std::unique_ptr<Simulation>> MakePendulum(const EnvironmentOptions& options);

}  // namespace tandem
