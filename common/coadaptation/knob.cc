#include "common/coadaptation/knob.h"

#include <cstddef>

namespace tandem::coadaptation {

const std::array<KnobInfo, 10>& Knobs() {
  static constexpr std::array<KnobInfo, 10> kKnobs = {{
      {Knob::kRolloutHorizon, Receiver::kPolicyTrainer, "rollout_horizon",
       "most steps of an imagined rollout [steps]", 1, 1000},
      {Knob::kRealShare, Receiver::kPolicyTrainer, "real_share",
       "share of real rows in a policy batch", 0, 1},
      {Knob::kPessimism, Receiver::kPolicyTrainer, "pessimism",
       "weight of the disagreement penalty on imagined rewards", 0, 100},
      {Knob::kUpdatesPerStep, Receiver::kReplayBuffer, "updates_per_step",
       "policy updates for each environment step [updates/step]", 0.01, 1000},
      {Knob::kRefit, Receiver::kModelTrainer, "refit", "count of long refits asked for", 0, 1e6},
      {Knob::kMemberReset, Receiver::kModelTrainer, "member_reset",
       "count of members asked to start from fresh weights", 0, 1e6},
      {Knob::kPolicyPause, Receiver::kReplayBuffer, "policy_pause", "1: no policy updates", 0, 1},
      {Knob::kDataCollection, Receiver::kActor, "data_collection",
       "probability that an actor's step is uniformly random", 0, 1},
      {Knob::kRewardClamp, Receiver::kPolicyTrainer, "reward_clamp",
       "1: imagined rewards are clamped to the range of real ones", 0, 1},
      {Knob::kRollback, Receiver::kPolicyTrainer, "rollback",
       "published policy to go back to, by its updates [updates]", 0, 1e15},
  }};
  return kKnobs;
}

const KnobInfo& InfoOf(Knob knob) { return Knobs()[static_cast<size_t>(knob) - 1]; }

const char* KnobName(Knob knob) { return InfoOf(knob).name; }

std::optional<Knob> KnobFromName(std::string_view name) {
  for (const KnobInfo& info : Knobs()) {
    if (name == info.name) return info.knob;
  }
  return std::nullopt;
}

std::optional<double> Directive::ValueOf(Knob knob) const {
  for (const Setting& setting : settings) {
    if (setting.knob == knob) return setting.value;
  }
  return std::nullopt;
}

}  // namespace tandem::coadaptation
