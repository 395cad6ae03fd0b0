#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/dynamics/dynamics_model.h"
#include "common/metrics/registry.h"
#include "common/nn/safetensors.h"
#include "common/objective/transition_classifier.h"
#include "common/snapshot/snapshot.h"

namespace tandem::policy_trainer {

/// A model with what is known about its making.
struct FollowedModel {
  std::unique_ptr<dynamics::DynamicsModel> model;
  /// Tells its transitions from real ones; null unless one is wanted.
  std::unique_ptr<objective::TransitionClassifier> classifier;
  std::optional<double> smallest_reward;  ///< Of the steps it used, where the snapshot says it.
  int64_t through_index = 0;              ///< It used all steps below.
  int64_t env_steps = 0;                  ///< Training steps when it was made.
  snapshot::Version version;
};

/// Waits for the model that a grant calls for. A snapshot that cannot be loaded (damaged, or of
/// another environment) is logged and counted once, and waited past.
///
/// Not thread-safe. Source, signal, clock and registry outlive it.
class ModelFollower {
 public:
  using LoadModel = std::function<absl::StatusOr<std::unique_ptr<dynamics::DynamicsModel>>(
      const nn::TensorFile& snapshot)>;

  using LoadClassifier =
      std::function<absl::StatusOr<std::unique_ptr<objective::TransitionClassifier>>(
          const nn::TensorFile& snapshot)>;

  /// load_classifier: empty where none is wanted; else a snapshot without one cannot be loaded.
  ModelFollower(snapshot::SnapshotSource& source, LoadModel load, StopSignal& stop, Clock& clock,
                metrics::Registry& metrics, LoadClassifier load_classifier = {});

  /// The newest model that used all steps below `through_index`, and, where `exact`, no others.
  /// Blocks up to `timeout`: DEADLINE_EXCEEDED says what was waited for and what there is.
  /// CANCELLED once stopped.
  absl::StatusOr<FollowedModel> WaitFor(int64_t through_index, bool exact, absl::Duration timeout);

 private:
  absl::StatusOr<FollowedModel> Load(const snapshot::Snapshot& snapshot);
  /// Loads `snapshot` unless it is known not to fit; logs and counts one that is broken.
  absl::StatusOr<FollowedModel> Try(const snapshot::Snapshot& snapshot, int64_t through_index,
                                    bool exact);

  snapshot::SnapshotSource& source_;
  const LoadModel load_;
  const LoadClassifier load_classifier_;
  StopSignal& stop_;
  Clock& clock_;
  metrics::Counter& rejected_;
  snapshot::Version bad_;  // the last that was rejected
};

}  // namespace tandem::policy_trainer
