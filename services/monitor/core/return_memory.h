#pragma once

#include <cstdint>

#include "common/coadaptation/return_scale.h"

namespace tandem::monitor {

/// What was made of returns so far: kept over a restart, for the episodes that the replay buffer
/// still holds then may begin where the policy was trained already, which would be another scale.
struct ReturnMemory {
  coadaptation::ReturnScale::Memory scale;
  /// Episodes that ended at or before so many training steps are in it; < 0: none is.
  int64_t through_env_steps = -1;
};

}  // namespace tandem::monitor
