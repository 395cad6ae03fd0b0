#pragma once

#include <cstdint>

#include "common/coadaptation/verdict.h"

namespace tandem::monitor {

/// Everything the monitor knows, at one moment; see tandem.monitor.v1.GetReportResponse. A figure
/// that is not known yet is NaN. Plain data.
struct Report {
  coadaptation::Figures figures;
  coadaptation::Judgement judgement;
  double model_error_ratio = coadaptation::kUnknown;
  double model_error_fresh = coadaptation::kUnknown;
  double model_error_heldout = coadaptation::kUnknown;
  int64_t fresh_steps_scored = 0;
  int64_t fresh_steps_dropped = 0;
  uint64_t model_version = 0;
  uint64_t policy_version = 0;
  double model_age_env_steps = coadaptation::kUnknown;
  double policy_lag_updates = coadaptation::kUnknown;
  int64_t env_steps = 0;
  double training_return = coadaptation::kUnknown;
  double evaluation_return = coadaptation::kUnknown;
};

}  // namespace tandem::monitor
