#include "common/dynamics/disagreement.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::dynamics {
namespace {

constexpr double kQuantile = 0.95;

}  // namespace

absl::Status Disagreement::Of(std::span<const float> observations, std::span<const float> actions,
                              std::vector<float>* u) {
  const size_t dim = static_cast<size_t>(model_.obs_dim());
  const size_t rows = observations.size() / dim;
  const std::vector<float>& stds = model_.target_stds();
  if (stds.size() != dim + 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("disagreement: expected a model that knows the standard deviations of its ",
                     dim + 1, " targets, got ", stds.size()));
  }
  sums_.assign(rows * (dim + 1), 0);
  squares_.assign(rows * (dim + 1), 0);
  for (const int member : model_.elites()) {
    TANDEM_RETURN_IF_ERROR(model_.Predict(member, observations, actions, &prediction_));
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j <= dim; ++j) {
        const double change = j == dim ? prediction_.reward_means[i]
                                       : prediction_.next_means[i * dim + j] -
                                             static_cast<double>(observations[i * dim + j]);
        const double x = change / stds[j];
        sums_[i * (dim + 1) + j] += x;
        squares_[i * (dim + 1) + j] += x * x;
      }
    }
  }
  const double elites = static_cast<double>(model_.elites().size());
  u->resize(rows);
  for (size_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (size_t j = 0; j <= dim; ++j) {
      const double mean = sums_[i * (dim + 1) + j] / elites;
      sum += std::max(0.0, squares_[i * (dim + 1) + j] / elites - mean * mean);
    }
    (*u)[i] = static_cast<float>(std::sqrt(sum / static_cast<double>(dim + 1)));
  }
  return absl::OkStatus();
}

absl::Status Caution::Judge(std::span<const float> observations, std::span<const float> actions,
                            bool first, std::span<float> rewards) {
  TANDEM_RETURN_IF_ERROR(disagreement_.Of(observations, actions, &u_));
  if (pessimism_ > 0) {
    const double weight = pessimism_ * model_.target_stds().back();
    for (size_t i = 0; i < rewards.size(); ++i) {
      rewards[i] -= static_cast<float>(weight * u_[i]);
    }
  }
  if (truncate_above_ <= 0) {
    limit_ = std::numeric_limits<double>::infinity();
  } else if (first) {
    MoveLimit();
  }
  return absl::OkStatus();
}

void Caution::MoveLimit() {
  std::copy_if(u_.begin(), u_.end(), std::back_inserter(first_),
               [](float u) { return std::isfinite(u); });
  if (first_.empty()) return;
  const auto at = first_.begin() +
                  static_cast<std::ptrdiff_t>(kQuantile * static_cast<double>(first_.size() - 1));
  std::nth_element(first_.begin(), at, first_.end());
  limit_ = truncate_above_ * *at;
}

}  // namespace tandem::dynamics
