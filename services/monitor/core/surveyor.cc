#include "services/monitor/core/surveyor.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "common/coadaptation/rank_correlation.h"
#include "common/coadaptation/signals.h"
#include "services/monitor/core/gap_survey.h"
#include "services/monitor/core/joint_survey.h"
#include "services/monitor/core/occupancy_survey.h"
#include "services/monitor/core/prediction_survey.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;

constexpr size_t kMostReturns = 12;
constexpr size_t kLeastReturns = 8;
constexpr size_t kMostErrors = 10;
constexpr size_t kLeastErrors = 4;

}  // namespace

Checkpoint Surveyor::Survey(const Material& material, int64_t env_steps,
                            const std::function<void(const absl::Status&, const char*)>& complain,
                            BiasCounts* counts) {
  const uint64_t seed = StreamSeed(seed_, absl::StrCat("checkpoint ", env_steps));
  TransitionScorer scorer(options_.action_samples, options_.model_samples,
                          StreamSeed(seed, "scores"));
  Rng rng(seed, "rollouts");
  Checkpoint checkpoint;
  checkpoint.env_steps = static_cast<double>(env_steps);
  FillContext(material, &checkpoint);
  const auto part = [&](const char* failed, const std::function<absl::Status()>& fill) {
    if (!material.cancelled()) complain(fill(), failed);
  };
  const bool joint_critic = material.policy.joint.has_value();  // it values another reward
  const TransitionBatch scored = Thin(material.fresh, options_.max_rows);
  if (scored.size() > 0) {
    const absl::StatusOr<ElitePredictions> predictions =
        PredictElites(*material.model.model, scored.observations, scored.actions);
    const absl::StatusOr<ElitePredictions> heldout = PredictElites(
        *material.model.model, material.heldout.observations, material.heldout.actions);
    complain(predictions.status(), "fresh steps were not predicted");
    complain(heldout.status(), "held-out steps were not predicted");
    if (predictions.ok() && heldout.ok()) {
      if (joint_critic) {
        counts->scored += scored.size();
      } else {
        part("fresh steps were not scored", [&] {
          return FillBias(material, options_, scored, *predictions, *heldout, scorer, &checkpoint,
                          counts);
        });
      }
      part("the model's errors were not measured",
           [&] { return FillPredictions(material, scored, *predictions, *heldout, &checkpoint); });
    }
    if (!joint_critic) {
      part("the critic's bias was not measured",
           [&] { return FillValueBias(material, scored, scorer, &checkpoint); });
    }
    part("branched gaps were not measured",
         [&] { return FillBranchedGaps(material, options_, rng, &checkpoint); });
    part("open-loop errors were not measured", [&] { return FillOpenLoop(material, &checkpoint); });
    part("imagined steps were not held against real ones",
         [&] { return FillOccupancy(material, options_, rng, &checkpoint); });
    part("the members' agreement was not measured",
         [&] { return FillAgreement(material, &checkpoint); });
  }
  part("episodes were not compared",
       [&] { return FillPairedGap(material, options_, rng, &checkpoint); });
  part("the joint objective was not measured", [&] {
    Rng joint(seed, "joint");
    return FillJoint(material, options_, joint, &checkpoint);
  });
  checkpoint.score = coadaptation::ExploitationScore(checkpoint);
  Compare(material, &checkpoint);
  return checkpoint;
}

void Surveyor::FillContext(const Material& material, Checkpoint* checkpoint) const {
  const HeldPolicy& policy = material.policy;
  checkpoint->model_env_steps = static_cast<double>(material.model.env_steps);
  checkpoint->model_version = static_cast<double>(material.model.version.version);
  checkpoint->policy_version = static_cast<double>(policy.version.version);
  checkpoint->policy_updates = static_cast<double>(policy.policy.policy_updates);
  checkpoint->fresh_steps = static_cast<double>(material.fresh.size());
  checkpoint->fresh_episodes = static_cast<double>(material.episodes.size());
  checkpoint->evaluation_return = material.world.evaluation_return;
  checkpoint->return_scale = material.world.return_scale;
  checkpoint->model_age =
      std::max(0.0, checkpoint->env_steps - static_cast<double>(material.model.env_steps));
  checkpoint->horizon = policy.horizon;
  checkpoint->real_share = policy.real_share;
  checkpoint->pessimism = policy.pessimism;
  checkpoint->truncated_share = policy.truncated_share;
  double lags = 0;
  int64_t known = 0;
  for (const int64_t version : material.fresh.policy_versions) {
    const double lag = material.policies->LagBehind(policy, version);
    if (std::isnan(lag)) continue;
    lags += lag;
    ++known;
  }
  if (known > 0) checkpoint->policy_lag = lags / static_cast<double>(known);
}

void Surveyor::Remember(const Checkpoint& past) {
  const auto add = [](std::deque<Pair>& pairs, Pair pair, size_t most) {
    if (!std::isfinite(pair.x) || !std::isfinite(pair.y)) return;
    pairs.push_back(pair);
    if (pairs.size() > most) pairs.pop_front();
  };
  add(returns_, {past.model_return, past.real_return}, kMostReturns);
  add(errors_, {past.policy_shift, past.error_onpolicy}, kMostErrors);
}

void Surveyor::Compare(const Material& material, Checkpoint* checkpoint) {
  const auto figure = [](const std::deque<Pair>& pairs, size_t least, auto* of) {
    std::vector<double> x;
    std::vector<double> y;
    for (const Pair& pair : pairs) {
      x.push_back(pair.x);
      y.push_back(pair.y);
    }
    return pairs.size() < least ? Checkpoint::kNaN : of(x, y);
  };
  Remember(*checkpoint);
  checkpoint->rank_correlation = figure(returns_, kLeastReturns, &coadaptation::RankCorrelation);
  checkpoint->error_per_nat = figure(errors_, kLeastErrors, &coadaptation::Slope);

  const HeldPolicy& newest = *material.policies->newest();
  const Pair progress = {checkpoint->env_steps, static_cast<double>(newest.policy.policy_updates)};
  const double steps = progress.x - progress_.x;
  // Fewer updates than before: the policy trainer went back to a checkpoint of its own.
  if (steps > 0 && progress.y >= progress_.y) {
    checkpoint->update_to_data = (progress.y - progress_.y) / steps;
  }
  progress_ = progress;
}

}  // namespace tandem::monitor
