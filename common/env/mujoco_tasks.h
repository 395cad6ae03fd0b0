#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "common/env/mujoco_task.h"

/// Gymnasium's MuJoCo tasks, version 5, with their default arguments and from Gymnasium's own model
/// files: observation, reward, termination, noise of the start, time limit and action bounds.
/// Source: https://gymnasium.farama.org/environments/mujoco/
///
/// What holds for all:
/// - The model file is looked for in the folder that the environment variable TANDEM_MUJOCO_ASSETS
///   names, else where it was when Tandem was built.
/// - Body positions, inertias and the forces of contacts are those at which MuJoCo last evaluated
///   forces: a fraction of one of its steps before the joint positions beside them. So are
///   Gymnasium's.
/// - A state is MuJoCo's joint positions, then speeds: all that the dynamics depend on, but for the
///   solver's first guess, which only rounds differently.
/// - Rewards that count a body's way (Ant, Humanoid) count it from where it was at that last
///   evaluation, which a state that is set lacks: the reward of the first step after it is off by
///   up to about 0.05 (Ant) and 0.002 (Humanoid).
/// - The wider start of Simulation::WidenStart widens the noise about the resting body. The goal of
///   Reacher and the object of Pusher keep their range: where they lie is the task.
///
/// Termination from an observation alone is the task's own rule, on float32 numbers; a number that
/// is not finite is terminal, but where the task never terminates. MBPO's published functions
/// (Janner et al. 2019) differ so:
/// - InvertedPendulum, Ant: not at all. Ant's were given 27 observed numbers; ours has the contact
///   forces too.
/// - Walker2d, Humanoid: height and angle the same, but theirs do not look at the other numbers, so
///   that NaN among them (for Humanoid, anywhere) is not terminal. Humanoid at exactly 1 or 2 m is
///   terminal here, as in the task.
/// - Hopper: theirs bounds all but the height above by 100, but not below; the task and ours bound
///   them on both sides. The task also ends at a speed beyond 100, which an observation cannot
///   show: it clips speeds to +-10.
/// - InvertedDoublePendulum: none published. The tip's height follows from the angles, here those
///   after the step; the task takes it at the last evaluation of forces, less than 1e-4 m away.

namespace tandem {

/// Balances a pole on a cart. Observation: cart position [m], pole angle from upright [rad], their
/// speeds. Reward 1, but 0 for the step that ends with |angle| > 0.2. 0.04 s a step.
extern const MujocoTask kInvertedPendulum;
/// Balances two poles, one on the other. Observation [9]: cart position, sines and cosines of the
/// two angles, clipped speeds, the force that keeps the cart on its rail. 0.05 s.
extern const MujocoTask kInvertedDoublePendulum;
/// Moves the tip of an arm of two links to a random goal, within 50 steps. 0.02 s.
extern const MujocoTask kReacher;
/// Pushes a cylinder to a goal with an arm of seven joints, within 100 steps. An observation lacks
/// the cylinder's speed, so it does not determine the state. 0.05 s.
extern const MujocoTask kPusher;
/// Swims forward with three links. Leaves out both places along the plane. 0.04 s.
extern const MujocoTask kSwimmer;
/// Hops forward on one leg. Leaves out x; speeds are clipped to +-10. 0.008 s.
extern const MujocoTask kHopper;
/// Runs forward on two legs in a plane and cannot fall. Leaves out x. 0.05 s.
extern const MujocoTask kHalfCheetah;
/// Walks forward on two legs in a plane. Leaves out x; speeds are clipped to +-10. 0.008 s.
extern const MujocoTask kWalker2d;
/// Walks forward on four legs. Leaves out x and y; shows 13 x 6 contact forces, clipped to +-1.
/// 0.05 s.
extern const MujocoTask kAnt;
/// Walks forward upright. Leaves out x and y; shows inertias and speeds of the bodies, actuator and
/// contact forces: 348 numbers. 0.015 s.
extern const MujocoTask kHumanoid;

/// Makes a simulation of a task: see MakeMujocoSimulation.
template <const MujocoTask& kTask>
absl::StatusOr<std::unique_ptr<Simulation>> MakeMujoco(const EnvironmentOptions& options) {
  return MakeMujocoSimulation(kTask, options);
}

/// TerminationFunction of a task that has terminal states; the others take NeverTerminal.
template <const MujocoTask& kTask>
void MujocoTermination(std::span<const float> next_observations, int64_t obs_dim,
                       std::span<uint8_t> out) {
  MujocoTerminal(kTask, next_observations, obs_dim, out);
}

}  // namespace tandem
