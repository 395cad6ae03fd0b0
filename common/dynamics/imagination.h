#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "common/base/rng.h"
#include "common/data/batch.h"
#include "common/dynamics/dynamics_model.h"

namespace tandem::dynamics {

/// Chooses actions, [B, action_dim] in the environment's units, for observations, [B, obs_dim].
using ActFunction =
    std::function<absl::Status(std::span<const float> observations, std::span<float> actions)>;

/// The same for who acts differently over time: step `t` of rollouts, and for each row the start
/// state, from 0, that its rollout began in.
using ActAtFunction =
    std::function<absl::Status(int64_t t, std::span<const int64_t> starts,
                               std::span<const float> observations, std::span<float> actions)>;

struct ImagineOptions {
  int horizon = 1;       ///< [steps] >= 1
  int block_rows = 256;  ///< Rows acted on together: their activations stay in cache.
  /// Weight of the penalty on rewards and limit of a rollout by the members' disagreement: see
  /// Caution, also for the cost. 0: none.
  double pessimism = 0;
  double truncate_above = 0;
};

/// Branched rollouts (Janner et al. 2019): from each start state, `horizon` steps of the model
/// under `act`; a rollout ends where the model terminates. Appends every step to `out` (columns
/// observations, actions, rewards, next_observations, terminated). Rows whose prediction is not
/// finite are dropped and counted in `dropped`; rollouts cut for disagreement are counted in
/// `truncated` where it is given. start_states: [B, obs_dim]. `cancelled` is asked before each
/// block; CANCELLED then.
absl::Status Imagine(DynamicsModel& model, const ActFunction& act,
                     std::span<const float> start_states, const ImagineOptions& options, Rng& rng,
                     const std::function<bool()>& cancelled, TransitionBatch* out, int64_t* dropped,
                     int64_t* truncated = nullptr);

/// Mean undiscounted return of `rollouts` model rollouts of at most `max_steps` from each start
/// state, [B, obs_dim]. returns: [B]; NaN where a prediction of a rollout was not finite, for what
/// it would have returned is not known.
absl::Status ImaginedReturns(DynamicsModel& model, const ActAtFunction& act,
                             std::span<const float> start_states, int rollouts, int64_t max_steps,
                             Rng& rng, const std::function<bool()>& cancelled,
                             std::span<double> returns);

/// Length of imagined rollouts at `env_steps`: linear from `from` at `begin` to `to` at `end`.
int HorizonAt(int64_t env_steps, int from, int to, int64_t begin, int64_t end);

}  // namespace tandem::dynamics
