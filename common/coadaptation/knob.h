#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::coadaptation {

/// What the controller can turn. In the order of tandem.monitor.v1.Knob.
enum class Knob {
  kRolloutHorizon = 1,
  kRealShare = 2,
  kPessimism = 3,
  kUpdatesPerStep = 4,
  kRefit = 5,
  kMemberReset = 6,
  kPolicyPause = 7,
  kDataCollection = 8,
  kRewardClamp = 9,
  kRollback = 10,
};

/// Who applies a knob.
enum class Receiver { kPolicyTrainer = 1, kModelTrainer = 2, kActor = 3, kReplayBuffer = 4 };

struct KnobInfo {
  Knob knob;
  Receiver receiver;
  const char* name;     ///< "rollout_horizon", ...: labels, config paths, commands.
  const char* meaning;  ///< One line for a human, with the unit.
  double low;           ///< Values outside [low, high] are refused.
  double high;
};

/// Every knob, in order.
///   rollout_horizon    most steps of an imagined rollout; the recipe's schedule is capped by it
///   real_share         share of real rows in a policy batch
///   pessimism          weight of the disagreement penalty on imagined rewards
///   updates_per_step   policy updates for each env step from now on
///   refit              count of refits asked for, each of which makes one more of the
///                      due fits a long one: twice the gradient steps and no early end;
///                      also where the model is frozen
///   member_reset       count of resets asked for: each gives one more member fresh weights before
///                      the next fit
///   policy_pause       1: no policy updates
///   data_collection    probability that an actor's step is uniformly random
///   reward_clamp       1: imagined rewards are clamped to the 0.1 % and 99.9 % quantiles of real
///                      ones
///   rollback           policy updates of the published policy to go back to, or of the newest kept
///                      with fewer; taken once for each value; 0: none
const std::array<KnobInfo, 10>& Knobs();
const KnobInfo& InfoOf(Knob knob);
/// "rollout_horizon", ...
const char* KnobName(Knob knob);
std::optional<Knob> KnobFromName(std::string_view name);

/// One knob off its recipe's value.
struct Setting {
  Knob knob = Knob::kRolloutHorizon;
  double value = 0;
  /// Where the receiver goes when the directive expires unrenewed: the last value that was safe.
  double safe_value = 0;
  std::string reason;   ///< For logs and the dashboard.
  int64_t version = 0;  ///< Of the directive that set it.
};

/// All settings in force, as the monitor publishes them: a state, not an event, so that a receiver
/// that missed one is right again with the next. A knob that is absent has its recipe's value.
/// Versions grow over restarts of the monitor (they start at its wall clock in ms).
struct Directive {
  int64_t version = 0;  ///< 0: none was ever published.
  std::vector<Setting> settings;

  std::optional<double> ValueOf(Knob knob) const;
};

}  // namespace tandem::coadaptation
