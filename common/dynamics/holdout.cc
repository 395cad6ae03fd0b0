#include "common/dynamics/holdout.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/base/status_macros.h"
#include "common/data/rows.h"
#include "common/nn/cross_entropy.h"

namespace tandem::dynamics {
namespace {

constexpr int64_t kBlockRows = 256;
/// Added to each error, so that a constant dimension does not decide the score alone.
constexpr double kErrorFloor = 1e-6;

/// Calls visit(first row, prediction) for each block of rows.
template <typename Visit>
absl::Status ForEachBlock(nn::GaussianEnsemble& network, int member, const FitRows& rows,
                          Visit visit) {
  nn::EnsemblePrediction prediction;
  for (int64_t begin = 0; begin < rows.rows; begin += kBlockRows) {
    const int64_t count = std::min(kBlockRows, rows.rows - begin);
    TANDEM_RETURN_IF_ERROR(network.Predict(
        member, std::span(rows.inputs).subspan(begin * rows.input_dim, count * rows.input_dim),
        &prediction));
    visit(begin, prediction);
  }
  return absl::OkStatus();
}

int64_t ScoredDim(const FitRows& rows) {
  return rows.scored_dim > 0 ? rows.scored_dim : rows.output_dim;
}

double GeometricMean(const MemberScore& score, int64_t binary_dim) {
  double sum = 0;
  for (const double error : score.squared_errors) sum += std::log(error + kErrorFloor);
  if (binary_dim > 0) sum += std::log(score.binary_loss + kErrorFloor);
  return std::exp(sum / static_cast<double>(score.squared_errors.size() + binary_dim));
}

}  // namespace

absl::StatusOr<MemberScore> ScoreMember(nn::GaussianEnsemble& network, int member,
                                        const FitRows& rows) {
  MemberScore score;
  const int64_t scored = ScoredDim(rows);
  score.squared_errors.assign(scored, 0);
  double nll = 0, binary = 0;
  TANDEM_RETURN_IF_ERROR(ForEachBlock(
      network, member, rows, [&](int64_t begin, const nn::EnsemblePrediction& prediction) {
        const float* target = rows.targets.data() + begin * rows.output_dim;
        for (size_t i = 0; i < prediction.means.size(); i += rows.output_dim) {
          for (int64_t j = 0; j < scored; ++j) {
            const double error = prediction.means[i + j] - target[i + j];
            const double scaled = error / prediction.stds[i + j];
            score.squared_errors[j] += error * error;
            nll += scaled * scaled + prediction.log_vars[i + j];
          }
        }
        for (size_t i = 0; i < prediction.logits.size(); ++i) {
          binary += nn::BinaryCrossEntropy(prediction.logits[i],
                                           rows.binary[begin * rows.binary_dim + i]);
        }
      }));
  const double count = static_cast<double>(rows.rows);
  for (double& error : score.squared_errors) error /= count;
  score.nll = 0.5 * (nll / (count * static_cast<double>(scored)) + std::log(2 * std::numbers::pi));
  if (rows.binary_dim > 0) score.binary_loss = binary / (count * rows.binary_dim);
  score.score = GeometricMean(score, rows.binary_dim);
  return score;
}

absl::StatusOr<std::vector<double>> ScoreMean(nn::GaussianEnsemble& network,
                                              std::span<const int> members, const FitRows& rows) {
  std::vector<double> sums(rows.targets.size());
  for (const int member : members) {
    TANDEM_RETURN_IF_ERROR(ForEachBlock(
        network, member, rows, [&](int64_t begin, const nn::EnsemblePrediction& prediction) {
          for (size_t i = 0; i < prediction.means.size(); ++i) {
            sums[begin * rows.output_dim + i] += prediction.means[i];
          }
        }));
  }
  std::vector<double> errors(ScoredDim(rows));
  for (size_t i = 0; i < sums.size(); i += rows.output_dim) {
    for (size_t j = 0; j < errors.size(); ++j) {
      const double error = sums[i + j] / static_cast<double>(members.size()) - rows.targets[i + j];
      errors[j] += error * error / static_cast<double>(rows.rows);
    }
  }
  return errors;
}

FitRows Thin(const FitRows& rows, int64_t limit) {
  if (rows.rows <= limit) return rows;
  FitRows out{.rows = limit,
              .input_dim = rows.input_dim,
              .output_dim = rows.output_dim,
              .binary_dim = rows.binary_dim,
              .scored_dim = rows.scored_dim};
  std::vector<int64_t> kept(limit);
  for (int64_t i = 0; i < limit; ++i) kept[i] = i * rows.rows / limit;
  GatherRows(rows.inputs, rows.input_dim, kept, &out.inputs);
  GatherRows(rows.targets, rows.output_dim, kept, &out.targets);
  GatherRows(rows.binary, rows.binary_dim, kept, &out.binary);
  return out;
}

}  // namespace tandem::dynamics
