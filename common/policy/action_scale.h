#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "common/data/spec.h"

namespace tandem::policy {

/// The affine map between an environment's action box and [-1, 1]. Immutable.
class ActionScale {
 public:
  explicit ActionScale(const BoxSpace& action) {
    for (int64_t j = 0; j < action.dim(); ++j) {
      centre_.push_back(0.5f * (action.low[j] + action.high[j]));
      half_.push_back(0.5f * (action.high[j] - action.low[j]));
      log_volume_ += std::log(half_.back());
    }
  }

  /// actions: [B, dim], in place, to the environment's units.
  void ToEnvironment(std::span<float> actions) const {
    for (size_t i = 0; i < actions.size(); i += half_.size()) {
      for (size_t j = 0; j < half_.size(); ++j) {
        actions[i + j] = centre_[j] + half_[j] * actions[i + j];
      }
    }
  }

  /// The reverse, from `actions` to `out`; what lies outside the box is clipped.
  void ToUnit(std::span<const float> actions, std::span<float> out) const {
    for (size_t i = 0; i < actions.size(); i += half_.size()) {
      for (size_t j = 0; j < half_.size(); ++j) {
        const float unit = (actions[i + j] - centre_[j]) / half_[j];
        out[i + j] = unit < -1 ? -1 : unit > 1 ? 1 : unit;
      }
    }
  }

  /// Log densities over [-1, 1]^dim to log densities in the environment's units, in place.
  void DensityToEnvironment(std::span<float> log_probs) const {
    for (float& x : log_probs) x -= static_cast<float>(log_volume_);
  }

 private:
  std::vector<float> centre_, half_;
  double log_volume_ = 0;  ///< log |d environment action / d unit action|
};

}  // namespace tandem::policy
