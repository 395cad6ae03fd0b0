#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/stop_signal.h"
#include "common/policy/policy.h"
#include "common/snapshot/snapshot.h"
#include "services/actor/core/actor_metrics.h"

namespace tandem::actor {

/// Turns a snapshot into a policy that can act.
using PolicyLoader = std::function<absl::StatusOr<policy::LoadedPolicy>(const snapshot::Snapshot&)>;

/// The policy that the actor acts with: the newest that could be loaded. Not thread-safe.
class PolicyHolder {
 public:
  /// peer: where the policies come from, for the log. The references outlive this.
  PolicyHolder(snapshot::SnapshotSource& source, PolicyLoader loader, std::string peer,
               Clock& clock, StopSignal& stop, ActorMetrics& metrics);

  /// Loads the newest snapshot if it is newer than the one held. Does not wait. A snapshot that
  /// cannot be loaded is logged, counted and skipped; the policy held stays.
  void Refresh();

  /// Waits until the policy held has had at least `updates` updates (< 0: until there is one), and
  /// takes every newer one on the way. False after `timeout` or when stopped.
  ///
  /// In lockstep nothing newer than the policy asked for exists, unless the replay buffer lost
  /// steps that the policy trainer has used; then the newer policy is taken, for no older one will
  /// come.
  bool WaitFor(int64_t updates, absl::Duration timeout);

  bool has_policy() const { return loaded_.policy != nullptr; }
  policy::Policy& policy() { return *loaded_.policy; }
  /// Version::Tag of its snapshot, which the steps carry; 0 before the first.
  uint64_t tag() const { return version_.Tag(); }
  /// Its snapshot; 0 before the first.
  snapshot::Version version() const { return version_; }
  int64_t updates() const { return static_cast<int64_t>(loaded_.policy_updates); }

 private:
  bool Satisfies(int64_t updates) const;

  snapshot::SnapshotSource& source_;
  const PolicyLoader loader_;
  const std::string peer_;
  Clock& clock_;
  StopSignal& stop_;
  ActorMetrics& metrics_;
  snapshot::Version seen_;  // the newest looked at, loaded or refused
  policy::LoadedPolicy loaded_;
  snapshot::Version version_;
  absl::Duration loaded_at_;
};

}  // namespace tandem::actor
