#include "common/coadaptation/attribution.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"

namespace tandem::coadaptation {
namespace {

using Why = std::optional<std::string>;  // nullopt: nothing speaks for it

Why WhyHorizon(const Checkpoint& c, const MitigationOptions& options) {
  if (!(c.open_loop_1 > 0) || !(c.open_loop_20 > 0)) return std::nullopt;
  const double growth = std::log(c.open_loop_20 / c.open_loop_1) / 19;
  if (growth <= options.growth) return std::nullopt;
  return absl::StrFormat(
      "the model's open-loop error grows from %.2f after 1 step to %.2f after 20 standard "
      "deviations",
      c.open_loop_1, c.open_loop_20);
}

Why WhyManyUpdates(const Checkpoint& c, const MitigationOptions& options) {
  if (!(c.update_to_data > options.updates_high)) return std::nullopt;
  return absl::StrFormat("%.0f policy updates for each real step are many", c.update_to_data);
}

Why WhyRealShare(const Checkpoint& c, const MitigationOptions& options) {
  if (c.effective_sample_share < options.sample_share_low) {
    return absl::StrFormat(
        "imagined steps do harm and lie off the support of real ones (effective sample share "
        "%.2f): learn from real steps alone",
        c.effective_sample_share);
  }
  return "imagined steps do harm: learn from real steps alone";
}

Why WhyPessimism(const Checkpoint& c, const MitigationOptions& options) {
  if (!(c.visibility > options.visible) || c.value_bias < options.undervalued) return std::nullopt;
  return absl::StrFormat("disagreement of the ensemble sees the errors (rank correlation %.2f)",
                         c.visibility);
}

Why WhyRefit(const Checkpoint& c, const MitigationOptions& options) {
  if (c.visibility < options.blind) {
    return absl::StrFormat(
        "disagreement of the ensemble is blind to the errors (rank correlation %.2f)",
        c.visibility);
  }
  if (c.coverage_onpolicy < options.coverage_low) {
    return absl::StrFormat("the model is confidently wrong (its 90 %% intervals hold %.0f %%)",
                           100 * c.coverage_onpolicy);
  }
  return std::nullopt;
}

Why WhyStale(const Checkpoint& c, const MitigationOptions& options) {
  if (!(c.fresh_steps > 0) || !(c.model_age > options.age_high * c.fresh_steps)) {
    return std::nullopt;
  }
  return absl::StrFormat("the model is %.0f steps old, the policy has learned in it since",
                         c.model_age);
}

Why WhyClamp(const Checkpoint& c, const MitigationOptions& options) {
  const bool dominates = c.index > 0 && c.index_reward > options.reward_part * c.index;
  if (!dominates || !(c.reward_range > options.reward_range_high)) return std::nullopt;
  return absl::StrFormat(
      "most of the bias is reward (%.2f of %.2f), and imagined rewards reach %.1f times as far as "
      "real ones",
      c.index_reward, c.index, c.reward_range);
}

Why WhyPause(const Checkpoint& c, const MitigationOptions& options) {
  if (!(c.policy_shift > options.policy_shift_large)) return std::nullopt;
  if (c.improvement_agreement >= options.agreement_low) return std::nullopt;
  return absl::StrFormat("the policy has moved %.2f nats since the model was fitted",
                         c.policy_shift);
}

struct Rung {
  Knob knob;
  Why (*why)(const Checkpoint&, const MitigationOptions&);
  bool needs_reason;
};

constexpr std::array<Rung, 9> kLadder = {{
    {Knob::kRefit, WhyStale, true},
    {Knob::kRealShare, WhyRealShare, false},
    {Knob::kRewardClamp, WhyClamp, true},
    {Knob::kRolloutHorizon, WhyHorizon, false},
    {Knob::kPessimism, WhyPessimism, true},
    {Knob::kRefit, WhyRefit, false},
    {Knob::kMemberReset, WhyRefit, false},
    {Knob::kUpdatesPerStep, WhyManyUpdates, false},
    {Knob::kPolicyPause, WhyPause, true},
}};

/// Longest horizon whose open-loop error is known to be safe; no limit where none is known.
double SafeHorizon(const Checkpoint& c, const MitigationOptions& options) {
  const double errors[] = {c.open_loop_1, c.open_loop_5, c.open_loop_10, c.open_loop_20};
  double safe = std::numeric_limits<double>::infinity();
  for (size_t i = kOpenLoopHorizons.size(); i-- > 0;) {
    if (!(errors[i] >= options.safe_error)) continue;
    safe = i > 0 ? kOpenLoopHorizons[i - 1] : 1;
  }
  return safe;
}

}  // namespace

std::vector<Candidate> Attribute(const Checkpoint& checkpoint, const MitigationOptions& options) {
  std::vector<Candidate> candidates;
  for (const Rung& rung : kLadder) {
    if (rung.knob == Knob::kRolloutHorizon &&
        std::abs(checkpoint.residual) > options.residual_limit) {
      continue;
    }
    const Why why = rung.why(checkpoint, options);
    const bool there = std::any_of(candidates.begin(), candidates.end(),
                                   [&](const Candidate& c) { return c.knob == rung.knob; });
    if (there || (!why && rung.needs_reason)) continue;
    candidates.push_back({rung.knob, why.has_value(), why.value_or("next on the ladder")});
  }
  std::stable_partition(candidates.begin(), candidates.end(),
                        [](const Candidate& candidate) { return candidate.attributed; });
  return candidates;
}

std::string WhyCollect(const Checkpoint& checkpoint, const MitigationOptions& options) {
  if (!(checkpoint.c2st_auc > options.occupancy_high)) return "";
  return absl::StrFormat(
      "the policy goes where real data is not (a classifier tells them apart with AUC %.2f), and "
      "no harm is seen yet",
      checkpoint.c2st_auc);
}

std::optional<double> Tighten(Knob knob, double value, double recipe, const Checkpoint& checkpoint,
                              const MitigationOptions& options) {
  switch (knob) {
    case Knob::kRolloutHorizon: {
      const double now = std::fmin(value, checkpoint.horizon);
      if (now <= 1) return std::nullopt;
      return std::max(1.0, std::min(std::floor(now / 2), SafeHorizon(checkpoint, options)));
    }
    case Knob::kRealShare:
      return value < 1 ? std::optional<double>(1) : std::nullopt;
    case Knob::kPessimism:
      if (value >= options.pessimism_most) return std::nullopt;
      return value > 0 ? std::min(2 * value, options.pessimism_most) : options.pessimism_first;
    case Knob::kUpdatesPerStep:
      if (value / 2 < options.updates_least * recipe) return std::nullopt;
      return value / 2;
    case Knob::kDataCollection:
      if (value >= options.collection_most) return std::nullopt;
      return std::min(value + options.collection_step, options.collection_most);
    case Knob::kRewardClamp:
    case Knob::kPolicyPause:
      return value < 1 ? std::optional<double>(1) : std::nullopt;
    case Knob::kRefit:
    case Knob::kMemberReset:
      return value + 1;
    case Knob::kRollback:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<double> HalvePessimism(double value, const MitigationOptions& options) {
  if (!(value > 0)) return std::nullopt;
  return value < options.pessimism_first ? 0 : value / 2;
}

std::optional<double> Relax(Knob knob, double value, double recipe,
                            const MitigationOptions& options) {
  const auto down = [&](double next) {
    return next > recipe + 1e-9 ? std::optional<double>(next) : std::nullopt;
  };
  const auto up = [&](double next) {
    return next < recipe - 1e-9 ? std::optional<double>(next) : std::nullopt;
  };
  switch (knob) {
    case Knob::kRolloutHorizon:
      return up(value + 1);
    case Knob::kUpdatesPerStep:
      return up(value + options.updates_least * recipe);
    case Knob::kRealShare:
      return down(value - options.real_share_back);
    case Knob::kPessimism:
      return down(HalvePessimism(value, options).value_or(recipe));
    case Knob::kDataCollection:
      return down(value - options.collection_step);
    default:
      return std::nullopt;
  }
}

double SafeValue(Knob knob, double value) {
  return knob == Knob::kPolicyPause || knob == Knob::kDataCollection ? 0 : value;
}

bool IsCount(Knob knob) {
  return knob == Knob::kRefit || knob == Knob::kMemberReset || knob == Knob::kRollback;
}

}  // namespace tandem::coadaptation
