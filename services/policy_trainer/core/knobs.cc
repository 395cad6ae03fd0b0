#include "services/policy_trainer/core/knobs.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace tandem::policy_trainer {
namespace {

using coadaptation::Knob;

constexpr char kRollbackKey[] = "knob.rollback";

training::KnobBoard::Options BoardOptions(const Knobs::Recipe& recipe) {
  return {.receiver = coadaptation::Receiver::kPolicyTrainer,
          .metric_prefix = "tandem_policy_trainer",
          .recipe = {{Knob::kRolloutHorizon, recipe.horizon},
                     {Knob::kRealShare, recipe.real_share},
                     {Knob::kPessimism, recipe.pessimism},
                     {Knob::kRewardClamp, 0},
                     {Knob::kRollback, 0}}};
}

}  // namespace

Knobs::Knobs(const Recipe& recipe, DirectiveClient* directives, metrics::Registry& registry,
             Clock& clock)
    : refit_interval_(std::max<int64_t>(1, recipe.refit_interval)),
      board_(BoardOptions(recipe), directives, registry, clock),
      rollbacks_(registry.AddCounter("tandem_policy_trainer_rollbacks_total",
                                     "Times that training went back to an older policy.")) {}

void Knobs::Apply(const Grant& grant, policy::SacLearner& learner) {
  if (!board_.Refresh(grant.directive_version)) return;
  RollBack(learner);
  board_.Acknowledge();
}

void Knobs::RollBack(policy::SacLearner& learner) {
  const auto wanted = static_cast<int64_t>(board_.value(Knob::kRollback));
  if (wanted == 0 || wanted == rolled_back_to_) return;
  const absl::Status status = kept_.Restore(static_cast<uint64_t>(wanted), learner);
  if (!status.ok()) {
    const std::string why(status.message());
    return board_.Refuse(Knob::kRollback, why);
  }
  rolled_back_to_ = wanted;
  rollbacks_.Increment();
}

void Knobs::Keep(const policy::SacLearner& learner, int64_t env_steps) {
  kept_at_ = env_steps / refit_interval_;
  kept_.Keep(learner);
}

ImaginationUse Knobs::use() const {
  return {.horizon = static_cast<int>(board_.value(Knob::kRolloutHorizon)),
          .pessimism = board_.value(Knob::kPessimism),
          .clamp_rewards = board_.value(Knob::kRewardClamp) != 0};
}

void Knobs::Save(nn::TensorFile* state) const {
  state->metadata[kRollbackKey] = absl::StrCat(rolled_back_to_);
}

void Knobs::Load(const nn::TensorFile& state) {
  const auto value = nn::FindInt(state, kRollbackKey);
  if (value.ok()) rolled_back_to_ = *value;
}

}  // namespace tandem::policy_trainer
