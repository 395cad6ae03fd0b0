#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/clients/directive_client.h"
#include "common/clients/replay_client.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/metrics/registry.h"
#include "common/nn/safetensors.h"
#include "common/training/knob_board.h"

namespace tandem::model_trainer {

/// The knobs of the model trainer: refit and member_reset, both counts of what was asked for. What
/// is asked for waits for the next fit that is due.
///
/// Not thread-safe. All it is given outlives it.
class Knobs {
 public:
  /// members >= 1 of the model; directives: nullptr without a monitor.
  Knobs(int members, DirectiveClient* directives, metrics::Registry& registry, Clock& clock);

  /// Brings in what the directives say, at least that of the grant. Blocks at most 5 s.
  void Apply(const Grant& grant);

  /// A long fit was asked for and has not been done: also of a model that is frozen.
  bool refit_wanted() const { return Wanted(coadaptation::Knob::kRefit) > refits_done_; }

  /// Before a fit: fresh weights for the members whose turn it is, one more for each reset asked
  /// for; and a long fit where one was. Only what has not been done.
  absl::Status Prepare(dynamics::EnsembleLearner& learner);
  /// The fit that was prepared is published.
  void FitDone();

  /// What a checkpoint has to hold so that nothing is done twice.
  void Save(nn::TensorFile* state) const;
  void Load(const nn::TensorFile& state);

 private:
  int64_t Wanted(coadaptation::Knob knob) const { return static_cast<int64_t>(board_.value(knob)); }

  const int members_;
  training::KnobBoard board_;
  metrics::Counter& long_fits_;
  metrics::Counter& resets_;
  int64_t refits_done_ = 0;
  int64_t resets_done_ = 0;
  int64_t next_member_ = 0;
  bool long_fit_ = false;  // the fit under way
};

}  // namespace tandem::model_trainer
