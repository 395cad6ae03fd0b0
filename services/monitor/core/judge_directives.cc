#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "services/monitor/core/judge.h"
#include "services/monitor/core/override_token.h"

/// What the judge has to do with those that its directives are for: the ruling for the pace, knobs
/// turned by hand, and acknowledgements.
namespace tandem::monitor {
namespace {

using coadaptation::Knob;
using coadaptation::Setting;

constexpr size_t kMaxReason = 200;

std::string Cleaned(const std::string& text) {
  std::string clean;
  for (const char c : text) clean += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return clean;
}

}  // namespace

Ruling Judge::ruling() {
  MutexLock lock(mu_);
  Ruling ruling;
  ruling.directive_version = report_.directive.version;
  ruling.updates_per_step = report_.directive.ValueOf(Knob::kUpdatesPerStep).value_or(-1);
  ruling.policy_pause = report_.directive.ValueOf(Knob::kPolicyPause).value_or(0) > 0;
  return ruling;
}

void Judge::OnPaceAnswer(int64_t directive_version, const absl::Status& answer) {
  if (!desk_.ReplayBufferOwes(directive_version)) return;
  Acknowledgement ack;
  ack.receiver = coadaptation::Receiver::kReplayBuffer;
  ack.member = ReceiverName(ack.receiver);
  ack.version = directive_version;
  if (absl::IsInvalidArgument(answer)) {
    ack.outcome = AckOutcome::kRefused;
    ack.message = std::string(answer.message());
    ack.refused = {Knob::kUpdatesPerStep};  // a pause has no value that could be wrong
  } else if (!answer.ok()) {
    return;
  }
  if (const absl::Status heard = Acknowledge(ack); !heard.ok()) LogWarning(heard.ToString());
}

absl::StatusOr<coadaptation::Directive> Judge::SetOverride(Knob knob, std::optional<double> value,
                                                           const std::string& token,
                                                           const std::string& reason) {
  if (token_.empty()) {
    return absl::PermissionDeniedError(
        "the knobs of this run cannot be turned by hand: control.token_file is not set");
  }
  if (!TokensMatch(token_, token)) return absl::UnauthenticatedError("not the run's token");
  const coadaptation::KnobInfo& info = InfoOf(knob);
  if (value && !(*value >= info.low && *value <= info.high)) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: %g is out of range, expected %g to %g",
                                                      info.name, *value, info.low, info.high));
  }
  if (reason.empty() || reason.size() > kMaxReason) {
    return absl::InvalidArgumentError(
        absl::StrCat("the reason has ", reason.size(), " characters, expected 1 to ", kMaxReason));
  }
  MutexLock lock(mu_);
  HistoryEvent event;
  event.kind = "override";
  event.knob = knob;
  event.before = controller_.ValueOf(knob);
  controller_.Override(knob, value, absl::StrCat("by hand: ", Cleaned(reason)));
  event.after = controller_.ValueOf(knob);
  event.text =
      absl::StrCat(value ? "Held by hand: " : "Given back to the controller: ", Cleaned(reason));
  Record(std::move(event));
  Settle();
  return report_.directive;
}

absl::Status Judge::Acknowledge(const Acknowledgement& ack) {
  TANDEM_RETURN_IF_ERROR(desk_.Acknowledge(ack));
  MutexLock lock(mu_);
  HistoryEvent event;
  event.kind = ack.outcome == AckOutcome::kApplied ? "acknowledged" : AckOutcomeName(ack.outcome);
  event.text =
      absl::StrFormat("Directive %d: %s by %s %s", ack.version, AckOutcomeName(ack.outcome),
                      ReceiverName(ack.receiver), Cleaned(ack.member));
  if (ack.outcome == AckOutcome::kApplied) {
    absl::StrAppend(&event.text, absl::StrFormat(" after %.1f s", ack.apply_seconds));
  }
  if (!ack.message.empty()) {
    absl::StrAppend(&event.text, ": ", Cleaned(ack.message.substr(0, kMaxReason)));
  }
  Record(std::move(event));
  if (ack.outcome == AckOutcome::kRefused) Refuse(ack);
  return absl::OkStatus();
}

void Judge::Refuse(const Acknowledgement& ack) {
  for (const Setting& setting : report_.directive.settings) {
    const bool named =
        std::find(ack.refused.begin(), ack.refused.end(), setting.knob) != ack.refused.end();
    if (!named || InfoOf(setting.knob).receiver != ack.receiver) continue;
    // What was asked for since is not what was refused.
    if (setting.version <= ack.version) controller_.Refused(setting.knob);
  }
  Settle();
}

}  // namespace tandem::monitor
