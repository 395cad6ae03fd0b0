#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/dynamics/dynamics_model.h"
#include "common/objective/state_classifier.h"
#include "common/objective/transition_classifier.h"

namespace tandem::objective {

struct LogRatioOptions {
  /// Range of the log-ratio [nats]. lower bounds what a transition that cannot happen costs. upper
  /// 0: nothing is to be gained from a classifier that errs in the model's favour; positive ones
  /// are harvested. lower <= upper.
  double lower = -5;
  double upper = 0;
  /// Added to the mean logit before the clip [nats], >= 0: a price up to it is let off, a higher
  /// one is lower by it. The estimate is noisy, and upper 0 turns noise around 0 into a price on
  /// every step; with a tolerance above the noise, only what is clearly not real pays. The bound
  /// then holds but for tolerance / (1 - discount), which is the same for every policy.
  double tolerance = 0;
  /// The same for the log-ratio of the state that a step ends in, where states are judged
  /// (state_classifier.h) [nats], >= 0. A policy that does what the data did not is in other states
  /// more often than they are, and should not pay for that: see StateClassifierOptions::mixture.
  double state_tolerance = 1;
  /// Logit of the best classifier where it is sure [nats], > 0: log(t / (1 - t)) of its target t.
  /// Changes no log-ratio, only what counts as the lower bound: a classifier that tells all of the
  /// model's samples stays at minus this, which may be far above `lower`. Infinite: none.
  double best_logit = std::numeric_limits<double>::infinity();
  /// Logits averaged for each row, before the clip: that of the transition itself, and of samples -
  /// 1 fresh ones of the model at the same (s, a). >= 1.
  int samples = 3;
};

/// INVALID_ARGUMENT on options out of range.
absl::Status Validate(const LogRatioOptions& options);

/// What the log-ratios of some rows look like. Sums, so that parts can be added up.
struct LogRatioFigures {
  int64_t rows = 0;
  double sum = 0;        ///< of clipped ones [nats]
  double state_sum = 0;  ///< The part of it that is the state's.
  /// Rows whose transition alone is at the lower bound: those that the clip changed there, that had
  /// no finite mean, or whose mean logit was within 5 % of the least that is of use, the larger of
  /// lower - tolerance and -best_logit.
  int64_t at_lower = 0;
  int64_t at_upper = 0;  ///< Rows that the clip changed at the upper one.

  void Add(const LogRatioFigures& other);
  double mean() const { return rows == 0 ? 0 : sum / static_cast<double>(rows); }
  /// Minus the mean: what the divergence of the model costs a step [nats].
  double divergence() const { return -mean(); }
  /// What the states cost a step beside the transitions [nats], >= 0.
  double state_price() const { return state_sum == 0 ? 0 : -state_sum / static_cast<double>(rows); }
  double lower_share() const { return rows == 0 ? 0 : static_cast<double>(at_lower) / rows; }
  double upper_share() const { return rows == 0 ? 0 : static_cast<double>(at_upper) / rows; }
};

/// Estimates log p(s' | s, a) - log q(s' | s, a) for imagined transitions: the third factor of
/// equation (1), for JointReward. Where states are judged as well, min(0, log d(s') - log m(s') +
/// state_tolerance) is added, and the sum bounded by `lower`. Meant for a whole pool of imagined
/// rows at once, where it costs a fraction of imagining them; model and classifier change only with
/// a snapshot, so the estimate holds as long as they do.
///
/// Not thread-safe; model and classifiers outlive it.
class LogRatioEstimator {
 public:
  /// `options` are valid. `stopped`, if any, is asked before each block of rows. `states`: fitted,
  /// or null: states are not judged.
  LogRatioEstimator(const LogRatioOptions& options, dynamics::DynamicsModel& model,
                    TransitionClassifier& classifier, std::function<bool()> stopped = {},
                    StateClassifier* states = nullptr)
      : options_(options),
        model_(model),
        classifier_(classifier),
        stopped_(std::move(stopped)),
        states_(states) {}

  /// next_observations: what the model predicted, [B, obs_dim]; log_ratios: [B], clipped. Works in
  /// blocks; memory does not grow with B. A row whose mean logit is not finite, as where the
  /// model's sample is not, gets the lower bound and counts as clipped there. `figures` may be
  /// null; rows are added to it. INVALID_ARGUMENT on a shape; CANCELLED once stopped.
  absl::Status Estimate(std::span<const float> observations, std::span<const float> actions,
                        std::span<const float> next_observations, Rng& rng,
                        std::span<float> log_ratios, LogRatioFigures* figures);

 private:
  absl::Status EstimateBlock(std::span<const float> observations, std::span<const float> actions,
                             std::span<const float> next_observations, Rng& rng,
                             std::span<float> log_ratios);
  /// Adds the price of the states to clipped log-ratios; returns the sum of what was added.
  absl::StatusOr<double> AddStates(std::span<const float> next_observations,
                                   std::span<float> log_ratios);

  const LogRatioOptions options_;
  dynamics::DynamicsModel& model_;
  TransitionClassifier& classifier_;
  const std::function<bool()> stopped_;
  StateClassifier* const states_;
  dynamics::ModelStep step_;
  std::vector<float> logits_;
};

}  // namespace tandem::objective
