#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "common/dynamics/fit_data.h"
#include "common/nn/gaussian_ensemble.h"

namespace tandem::dynamics {

/// How well one member predicts held-out rows, in units of the targets' standard deviations.
struct MemberScore {
  std::vector<double> squared_errors;  ///< of each scored dimension, mean over rows
  double binary_loss = 0;              ///< mean cross-entropy
  double nll = 0;                      ///< mean over rows and scored dimensions, with 0.5 log 2 pi
  /// What early stop and the choice of elites go by: the geometric mean of the scored errors
  /// (and of the cross-entropy of termination). A dimension whose noise no member can predict is a
  /// constant factor, where in an arithmetic mean it would drown the others.
  double score = 0;
};

/// Scores `member` on `rows`.
absl::StatusOr<MemberScore> ScoreMember(nn::GaussianEnsemble& network, int member,
                                        const FitRows& rows);

/// Mean squared error of each scored dimension, of the mean prediction of `members`.
absl::StatusOr<std::vector<double>> ScoreMean(nn::GaussianEnsemble& network,
                                              std::span<const int> members, const FitRows& rows);

/// At most `limit` rows, evenly spread, for a bounded cost of scoring.
FitRows Thin(const FitRows& rows, int64_t limit);

}  // namespace tandem::dynamics
