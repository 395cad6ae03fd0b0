#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clients/replay_client.h"
#include "common/coadaptation/knob.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/policy/sac_learner.h"
#include "services/model_trainer/core/joint_companion.h"
#include "services/policy_trainer/core/policy_trainer.h"
#include "services/replay_buffer/core/replay_buffer.h"

namespace tandem {

/// The settings after one judgement, and what the pace is told with them.
struct Directed {
  std::vector<coadaptation::Setting> settings;
  double updates_per_step = -1;
  bool policy_pause = false;
};

/// A whole run: what `tandem train` would be told, for the cores alone.
struct OneProcessOptions {
  std::string environment = "cartpole_continuous";
  int num_envs = 1;
  uint64_t seed = 0;  ///< Of everything; the seeds of the parts are derived from it.
  int evaluation_episodes = 3;
  ReplayBuffer::Options replay;
  dynamics::EnsembleLearnerOptions model;
  policy::SacLearnerOptions policy;
  /// The model's side of the joint objective; trainer.joint is the policy's.
  std::optional<model_trainer::JointCompanionOptions> joint;
  policy_trainer::PolicyTrainerOptions trainer;
  /// What a monitor in lockstep wants after each of its judgements, the last again and again;
  /// empty: there is no monitor.
  std::vector<Directed> directed;
  absl::Duration timeout = absl::Minutes(2);
};

/// Small networks that learn the cart-pole in seconds.
OneProcessOptions SmallCartpole(uint64_t seed);

struct OneProcessResult {
  std::vector<EvaluationResult> evaluations;
  std::string policy;  ///< Bytes of the last snapshot.
  std::string model;   ///< The same.
  std::string stop_reason;
  int64_t refused = 0;  ///< Directives that a receiver refused.
};

/// Trains to the end of the run: the cores of replay buffer, actor and both trainers, each in a
/// thread, as in the five processes but without a network. Blocks. DEADLINE_EXCEEDED says what was
/// waited for.
absl::StatusOr<OneProcessResult> TrainInOneProcess(const OneProcessOptions& options);

}  // namespace tandem
