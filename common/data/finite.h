#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace tandem {

/// Whether none of the values is NaN or infinite. Pure.
inline bool AllFinite(std::span<const float> values) {
  // Whether no exponent is all ones; written so that it becomes vector instructions.
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (const float value : values) {
    bad |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
  }
  return bad == 0;
}

}  // namespace tandem
