#include "services/model_trainer/core/knobs.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace tandem::model_trainer {
namespace {

using coadaptation::Knob;

constexpr char kRefitsKey[] = "knob.refit";
constexpr char kResetsKey[] = "knob.member_reset";
constexpr char kNextMemberKey[] = "knob.next_member";

}  // namespace

Knobs::Knobs(int members, DirectiveClient* directives, metrics::Registry& registry, Clock& clock)
    : members_(members),
      board_({.receiver = coadaptation::Receiver::kModelTrainer,
              .metric_prefix = "tandem_model_trainer",
              .recipe = {{Knob::kRefit, 0}, {Knob::kMemberReset, 0}}},
             directives, registry, clock),
      long_fits_(registry.AddCounter("tandem_model_trainer_long_fits_total",
                                     "Fits that the monitor asked for to be long.")),
      resets_(registry.AddCounter("tandem_model_trainer_member_resets_total",
                                  "Members that were given fresh weights.")) {}

void Knobs::Apply(const Grant& grant) {
  if (!board_.Refresh(grant.directive_version)) return;
  if (!board_.expired()) {  // counted anew where the monitor did
    refits_done_ = std::min(refits_done_, Wanted(Knob::kRefit));
    resets_done_ = std::min(resets_done_, Wanted(Knob::kMemberReset));
  }
  board_.Acknowledge();
}

absl::Status Knobs::Prepare(dynamics::EnsembleLearner& learner) {
  // All members at once is the most that makes sense.
  resets_done_ = std::max(resets_done_, Wanted(Knob::kMemberReset) - members_);
  for (; resets_done_ < Wanted(Knob::kMemberReset); ++resets_done_) {
    const auto member = static_cast<int>(next_member_ % members_);
    const absl::Status status = learner.ResetMember(member);
    if (absl::IsUnimplemented(status)) {
      LogWarning(absl::StrCat("no member is reset: ", std::string(status.message())));
      resets_done_ = Wanted(Knob::kMemberReset);
      break;
    }
    TANDEM_RETURN_IF_ERROR(status);
    ++next_member_;
    resets_.Increment();
    LogInfo(absl::StrCat("member ", member, " starts from fresh weights"));
  }
  long_fit_ = refit_wanted();
  if (long_fit_) learner.MakeNextFitLong();
  return absl::OkStatus();
}

void Knobs::FitDone() {
  if (!long_fit_) return;
  long_fit_ = false;
  ++refits_done_;
  long_fits_.Increment();
}

void Knobs::Save(nn::TensorFile* state) const {
  state->metadata[kRefitsKey] = absl::StrCat(refits_done_);
  state->metadata[kResetsKey] = absl::StrCat(resets_done_);
  state->metadata[kNextMemberKey] = absl::StrCat(next_member_);
}

void Knobs::Load(const nn::TensorFile& state) {
  const auto find = [&state](const char* key) {
    const auto value = nn::FindInt(state, key);
    return value.ok() && *value >= 0 ? *value : 0;
  };
  refits_done_ = find(kRefitsKey);
  resets_done_ = find(kResetsKey);
  next_member_ = find(kNextMemberKey);
}

}  // namespace tandem::model_trainer
