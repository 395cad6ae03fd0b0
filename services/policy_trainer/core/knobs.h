#pragma once

#include <cstdint>

#include "common/base/clock.h"
#include "common/clients/directive_client.h"
#include "common/clients/replay_client.h"
#include "common/metrics/registry.h"
#include "common/nn/safetensors.h"
#include "common/policy/sac_learner.h"
#include "common/training/knob_board.h"
#include "services/policy_trainer/core/imagination_stage.h"
#include "services/policy_trainer/core/kept_policies.h"

namespace tandem::policy_trainer {

/// The knobs of the policy trainer, applied where it asks them to be: rollout_horizon, real_share,
/// pessimism, reward_clamp and rollback.
///
/// Not thread-safe. All it is given outlives it.
class Knobs {
 public:
  struct Recipe {
    double real_share = 0.05;
    double pessimism = 0;
    int horizon = 1;               ///< [steps] Longest of the schedule.
    int64_t refit_interval = 250;  ///< [environment steps] >= 1
  };

  /// directives: nullptr without a monitor.
  Knobs(const Recipe& recipe, DirectiveClient* directives, metrics::Registry& registry,
        Clock& clock);

  /// Brings in what the directives say, waiting for at least that of the grant (at most 5 s), goes
  /// back to an older policy where they ask for one that was not yet gone back to, and
  /// acknowledges.
  void Apply(const Grant& grant, policy::SacLearner& learner);

  /// Whether none was kept yet since the refit interval in which `env_steps` lies began.
  bool KeepDue(int64_t env_steps) const { return env_steps / refit_interval_ != kept_at_; }
  /// Keeps the policy of `learner`, which is published, to go back to.
  void Keep(const policy::SacLearner& learner, int64_t env_steps);

  double real_share() const { return board_.value(coadaptation::Knob::kRealShare); }
  /// How to imagine.
  ImaginationUse use() const;

  /// What a checkpoint has to hold so that nothing is gone back to twice.
  void Save(nn::TensorFile* state) const;
  void Load(const nn::TensorFile& state);

 private:
  void RollBack(policy::SacLearner& learner);

  const int64_t refit_interval_;
  training::KnobBoard board_;
  KeptPolicies kept_;
  metrics::Counter& rollbacks_;
  int64_t kept_at_ = -1;        // interval of steps
  int64_t rolled_back_to_ = 0;  // the last value of the knob that was taken
};

}  // namespace tandem::policy_trainer
