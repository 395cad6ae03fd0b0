#pragma once

#include <cstdint>

#include "common/coadaptation/checkpoint.h"

namespace tandem::monitor {

/// The run as the monitor sees it, at one moment; see tandem.monitor.v1.GetReportResponse. A figure
/// that is not known yet is NaN. Plain data.
struct Report {
  int64_t fresh_steps_scored = 0;
  int64_t fresh_steps_dropped = 0;
  uint64_t model_version = 0;
  uint64_t policy_version = 0;
  double model_age_env_steps = coadaptation::Checkpoint::kNaN;
  int64_t env_steps = 0;
  double training_return = coadaptation::Checkpoint::kNaN;
  double evaluation_return = coadaptation::Checkpoint::kNaN;
};

}  // namespace tandem::monitor
