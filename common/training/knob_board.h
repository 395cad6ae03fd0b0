#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/clients/directive_client.h"
#include "common/coadaptation/knob.h"
#include "common/metrics/registry.h"

namespace tandem::training {

/// The knobs of one receiver with the values in force: what the monitor's directives say, and the
/// recipe's value for the rest. Takes changes in only at the receiver's safe points, logs each once
/// with its reason, exports <prefix>_knob_value{knob}, and tells the monitor what became of them.
/// A value that was refused is refused once: as long as the directives ask for it, it is neither
/// tried again nor told again, and says nothing about the other knobs.
///
///   if (board.Refresh(grant.directive_version)) {
///     if (!CanUse(board.value(Knob::kRollback))) board.Refuse(Knob::kRollback, "not kept");
///     board.Acknowledge();
///   }
///
/// Not thread-safe. All it is given outlives it.
class KnobBoard {
 public:
  struct Options {
    coadaptation::Receiver receiver = coadaptation::Receiver::kPolicyTrainer;
    std::string metric_prefix;  ///< Such as "tandem_actor".
    /// Every knob of the receiver with the recipe's value.
    std::map<coadaptation::Knob, double> recipe;
    absl::Duration patience = absl::Seconds(5);  ///< For a directive that a grant names.
  };

  /// client: nullptr without a monitor; the recipe's values are in force then.
  KnobBoard(const Options& options, DirectiveClient* client, metrics::Registry& registry,
            Clock& clock);

  /// Waits for the directive of `version` (0: does not wait), at most the patience and once for
  /// each version; then takes in what is held. A value out of the knob's range is refused and the
  /// one before stays. True where there is something to acknowledge.
  bool Refresh(int64_t version);

  /// In force. The knob is one of the recipe.
  double value(coadaptation::Knob knob) const { return knobs_.at(knob).value; }

  /// Whether the directive in force has expired, and safe values hold.
  bool expired() const { return held_.expired; }

  /// The receiver could not do what the knob asked for since the last Refresh: the value before
  /// stays, and the monitor is told why.
  void Refuse(coadaptation::Knob knob, std::string_view why);

  /// Tells the monitor that what Refresh brought is in force, or what was refused.
  void Acknowledge();

 private:
  struct State {
    double recipe = 0;
    double value = 0;
    double before = 0;              // the last Refresh
    std::optional<double> refused;  // while it is asked for
    metrics::Gauge* gauge = nullptr;
  };

  void Take(coadaptation::Knob knob, const HeldDirective& held, State& state);
  void Put(coadaptation::Knob knob, double value, std::string_view reason, State& state);

  DirectiveClient* const client_;
  const absl::Duration patience_;
  Clock& clock_;
  metrics::Counter& late_;
  std::map<coadaptation::Knob, State> knobs_;
  HeldDirective held_;    // as of the last Refresh
  int64_t given_up_ = 0;  // version that did not come in time
  // Since the last Refresh.
  std::vector<coadaptation::Knob> refused_;
  std::string refusals_;  // why
};

}  // namespace tandem::training
