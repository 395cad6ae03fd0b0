#include "common/coadaptation/logistic.h"

#include <algorithm>
#include <cmath>

namespace tandem::coadaptation {
namespace {

constexpr int kMaxIterations = 25;
constexpr double kTolerance = 1e-8;

/// Solves a x = b in place for a symmetric positive definite a, [n, n]: Cholesky. b becomes x.
void Solve(std::vector<double>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(std::max(a[j * n + j], 1e-12));
    for (size_t i = j + 1; i < n; ++i) {
      for (size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
}

}  // namespace

double Logistic::Probability(std::span<const double> row) const {
  double logit = weights_.back();
  for (size_t j = 0; j < row.size(); ++j) logit += weights_[j] * row[j];
  return 1 / (1 + std::exp(-logit));
}

void Logistic::Fit(std::span<const double> features, std::span<const uint8_t> labels,
                   std::span<const int64_t> used, int64_t dim, double ridge) {
  const size_t n = static_cast<size_t>(dim) + 1;
  weights_.assign(n, 0);
  std::vector<double> x(n, 1);
  for (int iteration = 0; iteration < kMaxIterations; ++iteration) {
    std::vector<double> step(n, 0);         // the gradient, then Newton's step
    std::vector<double> hessian(n * n, 0);  // the lower triangle
    for (size_t j = 0; j + 1 < n; ++j) {
      step[j] = -ridge * weights_[j];
      hessian[j * n + j] = ridge;
    }
    for (const int64_t row : used) {
      std::copy_n(features.begin() + row * dim, dim, x.begin());
      const double p = Probability(std::span<const double>(x).first(n - 1));
      const double curvature = std::max(p * (1 - p), 1e-6);
      for (size_t j = 0; j < n; ++j) {
        step[j] += (labels[row] - p) * x[j];
        const double scaled = curvature * x[j];
        for (size_t k = 0; k <= j; ++k) hessian[j * n + k] += scaled * x[k];
      }
    }
    Solve(hessian, step);
    double largest = 0;
    for (size_t j = 0; j < n; ++j) {
      weights_[j] += step[j];
      largest = std::max(largest, std::abs(step[j]));
    }
    if (!(largest > kTolerance)) return;
  }
}

}  // namespace tandem::coadaptation
