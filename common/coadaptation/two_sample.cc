#include "common/coadaptation/two_sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "common/coadaptation/logistic.h"
#include "common/coadaptation/quantile.h"
#include "common/coadaptation/rank_correlation.h"
#include "common/data/finite.h"

namespace tandem::coadaptation {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kFolds = 5;
constexpr int64_t kMaxSquared = 32;  // elements up to which squares are features, too
constexpr double kRidge = 1;         // of the squared weights, in rows
constexpr double kClip = 1e-3;       // of probabilities, for the density ratio
constexpr int64_t kMaxKernelRows = 512;
constexpr int kPermutations = 100;

/// Both samples below each other, each element with mean 0 and standard deviation 1 (0 where it
/// never varies). [rows, dim]
std::vector<double> Standardised(std::span<const float> first, std::span<const float> second,
                                 int64_t dim) {
  std::vector<double> rows(first.begin(), first.end());
  rows.insert(rows.end(), second.begin(), second.end());
  const int64_t n = static_cast<int64_t>(rows.size()) / dim;
  for (int64_t j = 0; j < dim; ++j) {
    double sum = 0;
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) sum += rows[i * dim + j];
    const double mean = sum / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      rows[i * dim + j] -= mean;
      squares += rows[i * dim + j] * rows[i * dim + j];
    }
    const double sd = std::sqrt(squares / static_cast<double>(n));
    const double scale = sd > 1e-9 * std::abs(mean) ? 1 / sd : 0;  // 0: rounding alone
    for (int64_t i = 0; i < n; ++i) rows[i * dim + j] *= scale;
  }
  return rows;
}

/// Appends the squares of standardised elements, less 1 so that their mean is 0.
std::vector<double> WithSquares(const std::vector<double>& rows, int64_t dim) {
  std::vector<double> out;
  out.reserve(2 * rows.size());
  for (size_t begin = 0; begin < rows.size(); begin += dim) {
    out.insert(out.end(), rows.begin() + begin, rows.begin() + begin + dim);
    for (int64_t j = 0; j < dim; ++j) out.push_back(rows[begin + j] * rows[begin + j] - 1);
  }
  return out;
}

void Shuffle(std::vector<int64_t>& values, Rng& rng) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.Below(i)]);
}

/// Sum of each row of a [total, total] matrix.
std::vector<double> RowSums(const std::vector<double>& matrix, int64_t total) {
  std::vector<double> sums(total);
  for (int64_t i = 0; i < total; ++i) {
    sums[i] = std::accumulate(matrix.begin() + i * total, matrix.begin() + (i + 1) * total, 0.0);
  }
  return sums;
}

/// Unbiased MMD^2 of the first n of `order` against the rest. kernel: [total, total], symmetric,
/// diagonal 0; sums: of its rows. Reads the first sample's pairs alone: the others follow from
/// sums.
double SquaredDiscrepancy(const std::vector<double>& kernel, const std::vector<double>& sums,
                          const std::vector<int64_t>& order, int64_t n) {
  const int64_t total = static_cast<int64_t>(order.size());
  double within_first = 0;
  double of_first = 0;  // within it and across
  for (int64_t i = 0; i < n; ++i) {
    const double* row = kernel.data() + order[i] * total;
    of_first += sums[order[i]];
    for (int64_t j = 0; j < i; ++j) within_first += 2 * row[order[j]];
  }
  const double across = of_first - within_first;
  const double within_second =
      std::accumulate(sums.begin(), sums.end(), 0.0) - within_first - 2 * across;
  const double a = static_cast<double>(n);
  const double b = static_cast<double>(total - n);
  return within_first / (a * (a - 1)) + within_second / (b * (b - 1)) - 2 * across / (a * b);
}

/// Gaussian kernel with the median distance as bandwidth, [total, total] with a diagonal of 0;
/// empty where all rows are alike.
std::vector<double> GaussianKernel(const std::vector<double>& rows, int64_t dim) {
  const int64_t total = static_cast<int64_t>(rows.size()) / dim;
  std::vector<double> kernel(total * total, 0);
  std::vector<double> squares;
  squares.reserve(total * (total - 1) / 2);
  for (int64_t i = 0; i < total; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < dim; ++k) {
        const double d = rows[i * dim + k] - rows[j * dim + k];
        sum += d * d;
      }
      kernel[i * total + j] = sum;
      squares.push_back(sum);
    }
  }
  double bandwidth = Median(squares);
  if (bandwidth == 0) bandwidth = *std::max_element(squares.begin(), squares.end());
  if (!(bandwidth > 0)) return {};
  for (int64_t i = 0; i < total; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const double value = std::exp(-0.5 * kernel[i * total + j] / bandwidth);
      kernel[i * total + j] = kernel[j * total + i] = value;
    }
  }
  return kernel;
}

}  // namespace

double AreaUnderCurve(std::span<const double> positives, std::span<const double> negatives) {
  std::vector<double> all(positives.begin(), positives.end());
  all.insert(all.end(), negatives.begin(), negatives.end());
  if (positives.empty() || negatives.empty() ||
      std::any_of(all.begin(), all.end(), [](double v) { return std::isnan(v); })) {
    return kNaN;
  }
  const std::vector<double> ranks = Ranks(all);
  const double n = static_cast<double>(positives.size());
  const double sum = std::accumulate(ranks.begin(), ranks.begin() + positives.size(), 0.0);
  return (sum - n * (n + 1) / 2) / (n * static_cast<double>(negatives.size()));
}

ClassifierResult ClassifierTest(std::span<const float> first, std::span<const float> second,
                                int64_t dim, Rng& rng) {
  ClassifierResult result = {kNaN, {}, {}};
  if (dim < 1 || !AllFinite(first) || !AllFinite(second)) return result;
  const int64_t n = static_cast<int64_t>(first.size()) / dim;
  const int64_t m = static_cast<int64_t>(second.size()) / dim;
  if (n < kFolds || m < kFolds) return result;
  const bool squared = dim <= kMaxSquared;
  std::vector<double> features = Standardised(first, second, dim);
  if (squared) features = WithSquares(features, dim);
  const int64_t width = squared ? 2 * dim : dim;
  std::vector<uint8_t> labels(n + m, 0);
  std::fill(labels.begin() + n, labels.end(), uint8_t{1});

  // Each fold has its share of both samples.
  std::vector<int64_t> fold(n + m);
  for (int64_t i = 0; i < n + m; ++i) fold[i] = (i < n ? i : i - n) % kFolds;
  std::vector<int64_t> a(fold.begin(), fold.begin() + n);
  std::vector<int64_t> b(fold.begin() + n, fold.end());
  Shuffle(a, rng);
  Shuffle(b, rng);
  std::copy(b.begin(), b.end(), std::copy(a.begin(), a.end(), fold.begin()));

  std::vector<double> scores(n + m);
  for (int64_t k = 0; k < kFolds; ++k) {
    std::vector<int64_t> used;
    for (int64_t i = 0; i < n + m; ++i) {
      if (fold[i] != k) used.push_back(i);
    }
    Logistic logistic;
    logistic.Fit(features, labels, used, width, kRidge);
    for (int64_t i = 0; i < n + m; ++i) {
      if (fold[i] != k) continue;
      scores[i] = logistic.Probability(std::span<const double>(features).subspan(i * width, width));
    }
  }
  result.first.assign(scores.begin(), scores.begin() + n);
  result.second.assign(scores.begin() + n, scores.end());
  result.auc = AreaUnderCurve(result.second, result.first);
  return result;
}

double EffectiveSampleShare(std::span<const double> probabilities) {
  if (probabilities.empty()) return kNaN;
  double sum = 0;
  double squares = 0;
  for (const double probability : probabilities) {
    const double p = std::isnan(probability) ? kNaN : std::clamp(probability, kClip, 1 - kClip);
    const double weight = p / (1 - p);
    sum += weight;
    squares += weight * weight;
  }
  return sum * sum / (static_cast<double>(probabilities.size()) * squares);
}

double MaximumMeanDiscrepancy(std::span<const float> first, std::span<const float> second,
                              int64_t dim, Rng& rng) {
  if (dim < 1 || !AllFinite(first) || !AllFinite(second)) return kNaN;
  const int64_t n = std::min<int64_t>(kMaxKernelRows, first.size() / dim);
  const int64_t m = std::min<int64_t>(kMaxKernelRows, second.size() / dim);
  if (n < 2 || m < 2) return kNaN;
  const std::vector<double> kernel =
      GaussianKernel(Standardised(first.first(n * dim), second.first(m * dim), dim), dim);
  if (kernel.empty()) return kNaN;
  std::vector<int64_t> order(n + m);
  std::iota(order.begin(), order.end(), int64_t{0});
  const std::vector<double> sums = RowSums(kernel, n + m);
  const double observed = SquaredDiscrepancy(kernel, sums, order, n);
  std::vector<double> permuted;
  for (int i = 0; i < kPermutations; ++i) {
    Shuffle(order, rng);
    permuted.push_back(SquaredDiscrepancy(kernel, sums, order, n));
  }
  const double quantile = Quantile(std::move(permuted), 0.95);
  return quantile > 0 ? observed / quantile : kNaN;
}

}  // namespace tandem::coadaptation
