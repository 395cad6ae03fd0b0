#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace tandem {

/// Whether none of the values is NaN or infinite. Pure.
inline bool AllFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace tandem
