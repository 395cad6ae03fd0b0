#pragma once

#include <mujoco/mujoco.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/env/environment.h"
#include "common/env/simulation.h"

/// What a task of Gymnasium's MuJoCo family is, as data: one class simulates them all, and the
/// table of them is mujoco_tasks.cc. A state is MuJoCo's positions and speeds, [nq + nv]. Internal
/// to common/env.

namespace tandem {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

/// What a model file must hold for a task: another file is refused.
struct MujocoSizes {
  int64_t positions, speeds, actuators, bodies;  ///< MuJoCo's nq, nv, nu and nbody.

  bool operator==(const MujocoSizes&) const = default;
};

/// How an episode begins.
struct MujocoStart {
  double position_noise = 0;  ///< Added to the model's positions, uniform in +-this.
  double speed_noise = 0;     ///< Speeds: uniform in +-this, or this standard deviation.
  bool normal_speeds = false;
  /// Then sets what the noise above does not say, such as a goal. Null: nothing.
  void (*place)(Rng& rng, std::span<double> state) = nullptr;
};

/// A stretch of an observation: numbers that stand side by side in MuJoCo's data.
struct MujocoPart {
  enum class Source {
    kPositions,         ///< qpos, [nq].
    kSpeeds,            ///< qvel, [nv].
    kConstraintForces,  ///< qfrc_constraint, [nv].
    kActuatorForces,    ///< qfrc_actuator, [nv].
    kBodyPositions,     ///< xpos, [bodies, 3].
    kBodyInertias,      ///< cinert, [bodies, 10].
    kBodySpeeds,        ///< cvel, [bodies, 6].
    kContactForces,     ///< cfrc_ext, [bodies, 6].
  };
  enum class Shown { kAsIs, kSine, kCosine };

  Source source;
  int first = 0;              ///< Index of the first number.
  int count = -1;             ///< -1: all that follow.
  double limit = kUnbounded;  ///< Clipped to +-this.
  Shown shown = Shown::kAsIs;
  int minus = -1;  ///< Index of as many numbers that are subtracted; -1: none.
};

/// reward = forward * (progress now - progress before) / dt + (healthy ? alive : 0)
///        - control * |action|^2 - min(contact * |contact forces|^2, contact_cost_limit) - cost.
struct MujocoReward {
  enum class Progress {
    kNone,
    kFirstPosition,  ///< qpos[0].
    kTorso,          ///< x of body 1.
    kMassCentre,     ///< x of the centre of mass of all bodies.
  };
  Progress progress = Progress::kNone;
  double forward = 1;
  double alive = 0;
  double control = 0;
  double contact = 0;
  double contact_force_limit = kUnbounded;  ///< Each force is clipped to +-this.
  double contact_cost_limit = kUnbounded;
  double (*cost)(const mjData& data) = nullptr;  ///< Null: none.
};

/// A position within (low, high), or within [low, high] where `closed`.
struct MujocoRange {
  int position;  ///< Index in qpos.
  double low, high;
  bool closed = false;
};

/// When an episode goes on; all of it must hold. All at their defaults: it never terminates.
struct MujocoHealth {
  std::span<const MujocoRange> ranges = {};
  double state_limit = kUnbounded;  ///< Bound of |state[i]| from i = 2 on.
  /// True where the state is terminal, from the data and from an observation. Null: neither.
  bool (*fallen)(const mjData& data) = nullptr;
  bool (*seen_fallen)(std::span<const float> observation) = nullptr;
};

/// One task. Constant; the spans view constants.
struct MujocoTask {
  const char* name;  ///< Registered name.
  const char* xml;   ///< Model file in Gymnasium's folder.
  MujocoSizes sizes;
  int frame_skip;  ///< MuJoCo's steps in one of ours.
  int64_t max_episode_steps = 1000;
  MujocoStart start;
  std::span<const MujocoPart> observation;  ///< The first part shows positions from `first` on.
  MujocoReward reward;
  MujocoHealth health;
  /// Simulation::StateFrom; null: an observation does not determine the state.
  absl::Status (*state_from)(const MujocoTask& task, std::span<const float> observation,
                             std::span<double> state) = nullptr;
};

/// A simulation of `task`, which must outlive it. Simulations of one task share one model. Errors
/// as SharedMujocoModel; INVALID_ARGUMENT also for a file of other sizes.
absl::StatusOr<std::unique_ptr<Simulation>> MakeMujocoSimulation(const MujocoTask& task,
                                                                 const EnvironmentOptions& options);

/// The TerminationFunction of a `task` that has terminal states: whether its health fails, or a
/// number is not finite.
void MujocoTerminal(const MujocoTask& task, std::span<const float> next_observations,
                    int64_t obs_dim, std::span<uint8_t> out);

}  // namespace tandem
