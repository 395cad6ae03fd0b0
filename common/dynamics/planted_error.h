#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/nn/safetensors.h"

namespace tandem::dynamics {

/// A fault planted in a model on purpose, for studies of the monitor: a false reward for steps that
/// begin in a region of the observations. Positive, it is a trapdoor that a policy learns to seek;
/// negative, a false fear. It travels in the metadata of a model snapshot, so that everyone who
/// loads the model believes the same. Plain data.
struct PlantedError {
  double reward = 0;  ///< Added to the predicted reward [reward]; 0: nothing is planted.
  int64_t element = 0;
  double low = 0;  ///< The region: low <= observation[element] <= high.
  double high = 0;
  double member_share = 1;  ///< Of the members, the first round(share * members) by index carry it.

  /// OK where nothing is planted or the region lies in observations of `obs_dim` elements;
  /// INVALID_ARGUMENT names the field of the config.
  absl::Status Check(int64_t obs_dim) const;

  /// What member `member` of `members` adds where it sees the region; 0: nothing.
  double RewardOf(int member, int members) const;
  /// Whether a step begins in the region. observation: [obs_dim]
  bool Contains(const float* observation) const {
    return observation[element] >= low && observation[element] <= high;
  }

  /// Metadata "planted_*", where anything is planted.
  void Export(nn::TensorFile* file) const;
  /// Nothing is planted where the metadata does not say so. INVALID_ARGUMENT names the key.
  absl::Status Import(const nn::TensorFile& file, int64_t obs_dim);
};

}  // namespace tandem::dynamics
