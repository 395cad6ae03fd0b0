#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem::coadaptation {

/// Logistic regression with a ridge, by Newton's method (iteratively reweighted least squares).
/// Deterministic. Plain value.
class Logistic {
 public:
  /// features: [rows, dim], of scale about 1; labels: [rows] 0 or 1; used: rows to fit to. `ridge`
  /// > 0 weighs half the squared norm of the weights (not of the intercept).
  void Fit(std::span<const double> features, std::span<const uint8_t> labels,
           std::span<const int64_t> used, int64_t dim, double ridge);
  /// P(label 1); row: [dim].
  double Probability(std::span<const double> row) const;
  /// [dim] and, last, the intercept.
  const std::vector<double>& weights() const { return weights_; }

 private:
  std::vector<double> weights_;
};

}  // namespace tandem::coadaptation
