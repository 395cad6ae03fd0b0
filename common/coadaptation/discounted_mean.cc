#include "common/coadaptation/discounted_mean.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/coadaptation/autocorrelation.h"

namespace tandem::coadaptation {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Weight {
  double step = 0;
  double terminal = 0;  ///< Of the terminal state that it reached, for ever.
};

std::vector<Weight> Weigh(std::span<const StepPlace> places, double discount) {
  int64_t first = std::numeric_limits<int64_t>::max();
  for (const StepPlace& place : places) first = std::min(first, place.t);
  std::vector<Weight> weights;
  weights.reserve(places.size());
  for (const StepPlace& place : places) {
    const double weight = std::pow(discount, static_cast<double>(place.t - first));
    weights.push_back({.step = weight});
    if (place.terminated && discount < 1) {
      weights.back().terminal = weight * discount / (1 - discount);
    }
  }
  return weights;
}

double MeanOf(std::span<const double> values, std::span<const Weight> weights) {
  double sum = 0;
  double mass = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i].step * values[i];
    mass += weights[i].step;
    mass += weights[i].terminal;
  }
  return sum / mass;
}

}  // namespace

double DiscountedMean(std::span<const double> values, std::span<const StepPlace> places,
                      double discount) {
  return places.empty() ? kNaN : MeanOf(values, Weigh(places, discount));
}

double DiscountedMeanError(std::span<const double> values, std::span<const StepPlace> places,
                           double discount, int64_t block_length) {
  const std::vector<Block> blocks = Blocks(static_cast<int64_t>(places.size()), block_length);
  if (blocks.size() < 2) return kNaN;
  const std::vector<Weight> weights = Weigh(places, discount);
  const double mean = MeanOf(values, weights);
  double mass = 0;
  double squares = 0;
  for (const Block& block : blocks) {
    double sum = 0;
    for (int64_t i = block.begin; i < block.end; ++i) {
      sum += weights[i].step * (values[i] - mean) - weights[i].terminal * mean;
      mass += weights[i].step + weights[i].terminal;
    }
    squares += sum * sum;
  }
  const double n = static_cast<double>(blocks.size());
  return std::sqrt(n / (n - 1) * squares) / mass;
}

}  // namespace tandem::coadaptation
