#include "common/training/knob_board.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace tandem::training {

using coadaptation::Knob;
using coadaptation::KnobName;

KnobBoard::KnobBoard(const Options& options, DirectiveClient* client, metrics::Registry& registry,
                     Clock& clock)
    : client_(client),
      patience_(options.patience),
      clock_(clock),
      late_(registry.AddCounter(options.metric_prefix + "_late_directives_total",
                                "Grants used without the directive that they named.")) {
  for (const auto& [knob, value] : options.recipe) {
    TANDEM_CHECK(coadaptation::InfoOf(knob).receiver == options.receiver);
    metrics::Gauge& gauge = registry.AddGauge(options.metric_prefix + "_knob_value",
                                              "Value in force of a knob of this service, by knob.",
                                              {{"knob", KnobName(knob)}});
    gauge.Set(value);
    knobs_[knob] = {.recipe = value, .value = value, .before = value, .gauge = &gauge};
  }
}

bool KnobBoard::Refresh(int64_t version) {
  if (client_ == nullptr) return false;
  if (version > given_up_ && !client_->WaitFor(version, patience_)) {
    given_up_ = version;
    late_.Increment();
    LogWarning(absl::StrCat("directive ", version, " has not come within ",
                            absl::FormatDuration(patience_), ": going on without it"));
  }
  const HeldDirective held = client_->Held();
  if (held.directive.version == held_.directive.version && held.expired == held_.expired) {
    return false;
  }
  refusals_.clear();
  if (held.expired) {
    LogWarning(
        absl::StrCat("directive ", held.directive.version, " has expired: the monitor is silent"));
  }
  for (auto& [knob, state] : knobs_) Take(knob, held, state);
  held_ = held;
  return true;
}

void KnobBoard::Take(Knob knob, const HeldDirective& held, State& state) {
  state.before = state.value;
  double wanted = state.recipe;
  std::string reason = held.expired ? "the monitor is silent" : "the recipe's value";
  for (const coadaptation::Setting& setting : held.directive.settings) {
    if (setting.knob != knob) continue;
    wanted = setting.value;
    if (!held.expired) reason = setting.reason;
    const coadaptation::KnobInfo& info = coadaptation::InfoOf(knob);
    if (!(wanted >= info.low && wanted <= info.high)) {
      Refuse(knob, absl::StrCat("expected ", info.low, " to ", info.high, ", got ", wanted));
      return;
    }
  }
  if (wanted == state.value) return;
  LogInfo(absl::StrCat(KnobName(knob), ": ", state.value, " -> ", wanted, " (", reason, ")"));
  state.value = wanted;
  state.gauge->Set(wanted);
}

void KnobBoard::Refuse(Knob knob, std::string_view why) {
  State& state = knobs_.at(knob);
  state.value = state.before;
  state.gauge->Set(state.value);
  absl::StrAppend(&refusals_, refusals_.empty() ? "" : "; ", KnobName(knob), ": ",
                  std::string(why));
  LogWarning(absl::StrCat("refused ", KnobName(knob), ", ", state.value,
                          " stays in force: ", std::string(why)));
}

void KnobBoard::Acknowledge() {
  // A monitor that began anew and has published nothing sends version 0.
  if (held_.directive.version == 0) return;
  Acknowledgement told{.version = held_.directive.version, .message = refusals_};
  told.outcome = !refusals_.empty() ? DirectiveOutcome::kRefused
                 : held_.expired    ? DirectiveOutcome::kExpired
                                    : DirectiveOutcome::kApplied;
  told.apply_seconds = absl::ToDoubleSeconds(clock_.Monotonic() - held_.arrived);
  client_->Acknowledge(told);
}

}  // namespace tandem::training
