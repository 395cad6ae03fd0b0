#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "absl/status/status.h"
#include "common/coadaptation/checkpoint.h"
#include "services/monitor/core/bias_survey.h"
#include "services/monitor/core/material.h"

namespace tandem::monitor {

/// Makes the figures of a checkpoint from its material. Seeded: the same material gives the same
/// figures. Remembers a few figures of past checkpoints for those that compare over time
/// (rank_correlation over the last 12 pairs of returns, from 8 on; error_per_nat over the last 10
/// checkpoints, from 4 on; update_to_data since the last of this process). Not thread-safe.
class Surveyor {
 public:
  Surveyor(const SurveyOptions& options, uint64_t seed) : options_(options), seed_(seed) {}

  /// A part that fails (a model that throws, a number that is not finite) leaves its figures NaN
  /// and is told to `complain`; the others are filled. Where the material is cancelled the rest
  /// stays NaN. env_steps: training steps at the end of the checkpoint. Blocks for the whole
  /// computation, which the options bound.
  coadaptation::Checkpoint Survey(
      const Material& material, int64_t env_steps,
      const std::function<void(const absl::Status&, const char*)>& complain, BiasCounts* counts);

  /// Takes past checkpoints in, oldest first, such as those before a restart.
  void Remember(const coadaptation::Checkpoint& past);

 private:
  void FillContext(const Material& material, coadaptation::Checkpoint* checkpoint) const;
  void Compare(const Material& material, coadaptation::Checkpoint* checkpoint);

  struct Pair {
    double x;
    double y;
  };
  const SurveyOptions options_;
  const uint64_t seed_;
  std::deque<Pair> returns_;  // model, real
  std::deque<Pair> errors_;   // policy shift, error
  Pair progress_ = {coadaptation::Checkpoint::kNaN, coadaptation::Checkpoint::kNaN};  // steps,
                                                                                      // updates
};

}  // namespace tandem::monitor
