#pragma once

#include <cstdint>
#include <span>

namespace tandem {

/// A TerminationFunction of one that judges a single observation: `ended(row)`, row [obs_dim].
template <typename Ended>
void EndedRows(std::span<const float> next_observations, int64_t obs_dim, std::span<uint8_t> out,
               const Ended& ended) {
  const size_t dim = static_cast<size_t>(obs_dim);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = ended(next_observations.subspan(i * dim, dim)) ? 1 : 0;
  }
}

}  // namespace tandem
