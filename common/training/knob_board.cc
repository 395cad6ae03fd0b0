#include "common/training/knob_board.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace tandem::training {

using coadaptation::Knob;
using coadaptation::KnobName;

namespace {

/// Also for what is no number, which is refused like any value out of range.
bool IsSame(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

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
  refused_.clear();
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
  const auto& settings = held.directive.settings;
  const auto asked = std::find_if(settings.begin(), settings.end(),
                                  [knob](const auto& setting) { return setting.knob == knob; });
  const char* const silent = held.expired ? "the monitor is silent" : nullptr;
  if (asked == settings.end()) {
    state.refused.reset();
    return Put(knob, state.recipe, silent != nullptr ? silent : "the recipe's value", state);
  }
  if (state.refused && IsSame(*state.refused, asked->value)) return;
  state.refused.reset();
  const coadaptation::KnobInfo& info = coadaptation::InfoOf(knob);
  if (asked->value >= info.low && asked->value <= info.high) {
    return Put(knob, asked->value, silent != nullptr ? silent : asked->reason, state);
  }
  state.value = asked->value;
  Refuse(knob, absl::StrCat("expected ", info.low, " to ", info.high, ", got ", asked->value));
}

void KnobBoard::Put(Knob knob, double value, std::string_view reason, State& state) {
  if (value == state.value) return;
  LogInfo(absl::StrCat(KnobName(knob), ": ", state.value, " -> ", value, " (", std::string(reason),
                       ")"));
  state.value = value;
  state.gauge->Set(value);
}

void KnobBoard::Refuse(Knob knob, std::string_view why) {
  State& state = knobs_.at(knob);
  state.refused = state.value;
  state.value = state.before;
  state.gauge->Set(state.value);
  refused_.push_back(knob);
  absl::StrAppend(&refusals_, refusals_.empty() ? "" : "; ", KnobName(knob), ": ",
                  std::string(why));
  LogWarning(absl::StrCat("refused ", KnobName(knob), ", ", state.value,
                          " stays in force: ", std::string(why)));
}

void KnobBoard::Acknowledge() {
  // A monitor that began anew and has published nothing sends version 0.
  if (held_.directive.version == 0) return;
  Acknowledgement told{
      .version = held_.directive.version, .message = refusals_, .refused = refused_};
  told.outcome = !refused_.empty() ? DirectiveOutcome::kRefused
                 : held_.expired   ? DirectiveOutcome::kExpired
                                   : DirectiveOutcome::kApplied;
  told.apply_seconds = absl::ToDoubleSeconds(clock_.Monotonic() - held_.arrived);
  client_->Acknowledge(told);
}

}  // namespace tandem::training
