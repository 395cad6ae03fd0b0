#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/data/spec.h"
#include "common/dynamics/dynamics_model.h"
#include "common/objective/joint_terms.h"
#include "common/objective/transition_classifier.h"
#include "common/policy/policy.h"
#include "common/snapshot/snapshot.h"

namespace tandem::monitor {

/// Rebuild a model or a policy from a snapshot: LoadDynamicsModel and LoadPolicy, or a test's fake.
using ModelFactory = std::function<absl::StatusOr<std::unique_ptr<dynamics::DynamicsModel>>(
    const nn::TensorFile&, const EnvironmentSpec&)>;
using PolicyFactory = std::function<absl::StatusOr<policy::LoadedPolicy>(const nn::TensorFile&,
                                                                         const EnvironmentSpec&)>;

struct HeldModel {
  snapshot::Version version;
  int64_t through_index = 0;  ///< The model was fitted to steps below this index only.
  int64_t env_steps = 0;      ///< Training steps when it was fitted.
  std::shared_ptr<dynamics::DynamicsModel> model;
  std::shared_ptr<objective::TransitionClassifier> classifier;  ///< Null where none came with it.
};

struct HeldPolicy {
  snapshot::Version version;
  policy::LoadedPolicy policy;
  int64_t model_version = -1;  ///< Of the model it imagined with; < 0: not known.
  int64_t env_steps = -1;      ///< Training steps when it was made; < 0: not known.
  // What was in force; NaN: not known. See the keys in common/snapshot/snapshot.h.
  double horizon = std::numeric_limits<double>::quiet_NaN();
  double real_share = std::numeric_limits<double>::quiet_NaN();
  double pessimism = std::numeric_limits<double>::quiet_NaN();
  double truncated_share = std::numeric_limits<double>::quiet_NaN();
  std::optional<objective::JointTerms> joint;  ///< What its critics value; nothing: the reward.
};

/// The newest few models of a source, so that an evaluation can be held against the one that was
/// made before it. Not thread-safe.
class ModelHistory {
 public:
  /// capacity >= 1 models.
  ModelHistory(snapshot::SnapshotSource* source, ModelFactory factory, size_t capacity)
      : source_(source), factory_(std::move(factory)), capacity_(capacity) {}

  /// Loads the newest snapshot unless it is held already; returns whether it did. A snapshot that
  /// cannot be loaded is reported once and skipped; the models held stay.
  absl::StatusOr<bool> Poll(const EnvironmentSpec& spec);
  /// The newest model; nullptr before the first.
  const HeldModel* newest() const { return held_.empty() ? nullptr : &held_.back(); }
  /// The newest model that was fitted before `env_steps` training steps; nullptr where none is
  /// held.
  const HeldModel* NewestBefore(int64_t env_steps) const;

 private:
  absl::StatusOr<HeldModel> Load(const snapshot::Snapshot& snapshot, const EnvironmentSpec& spec);

  snapshot::SnapshotSource* const source_;
  const ModelFactory factory_;
  const size_t capacity_;
  snapshot::Version seen_;
  std::deque<HeldModel> held_;  // oldest first
};

/// A few policies of a source, so that an episode can be compared with the policy that played it,
/// and the number of updates behind each version. Not thread-safe.
class PolicyHistory {
 public:
  /// capacity >= 1 policies, of which the older half is thinned out: the longer ago, the further
  /// apart, so that few policies span even long episodes. spacing [updates]: of those before the
  /// newest, as far as they lie closer together the older one is kept. stride: a Poll
  /// also loads the multiples of it among the versions that came since the last; 0: none.
  PolicyHistory(snapshot::SnapshotSource* source, PolicyFactory factory, size_t capacity,
                double spacing, uint64_t stride = 0)
      : source_(source),
        factory_(std::move(factory)),
        capacity_(capacity),
        spacing_(spacing),
        stride_(stride) {}

  /// As ModelHistory::Poll.
  absl::StatusOr<bool> Poll(const EnvironmentSpec& spec);
  /// The newest policy; nullptr before the first.
  const HeldPolicy* newest() const { return held_.empty() ? nullptr : &held_.back(); }
  /// The newest policy that trained in this model or an earlier one, so that its critic fits the
  /// model; the newest of all where none did or it is not known. nullptr before the first.
  const HeldPolicy* TrainedIn(uint64_t model_version) const;
  /// The held policy whose number of updates is nearest; nullptr before the first.
  const HeldPolicy* Nearest(double policy_updates) const;
  /// Updates in the policy of this tag (snapshot::Version::Tag; a version alone is one of the
  /// newest epoch), interpolated between the versions seen in its epoch. NaN for one
  /// before the first of them, and where none of that epoch was seen: it is older than all that is
  /// remembered, or not yet heard of.
  double UpdatesAt(int64_t tag) const;
  /// Updates by which the policy of this tag is behind `of`; 0 where it is ahead, but for one of an
  /// epoch before: then the publisher lost what it had learned since, and the distance counts
  /// either way. At least so many for a version before all that were seen of its epoch; NaN where
  /// none was.
  double LagBehind(const HeldPolicy& of, int64_t tag) const;

 private:
  snapshot::SnapshotSource* const source_;
  absl::StatusOr<HeldPolicy> Load(const snapshot::Snapshot& snapshot, const EnvironmentSpec& spec);
  void Hold(HeldPolicy policy);
  /// Forgets one of the older half.
  void Thin();

  /// What was seen of one start of the publisher.
  struct Epoch {
    uint64_t epoch = 0;
    std::map<uint64_t, double> updates;  // by version
  };
  const Epoch* EpochOf(int64_t tag) const;

  const PolicyFactory factory_;
  const size_t capacity_;
  const double spacing_;
  const uint64_t stride_;
  snapshot::Version seen_;
  std::deque<HeldPolicy> held_;  // oldest first
  std::deque<Epoch> epochs_;     // oldest first
};

}  // namespace tandem::monitor
