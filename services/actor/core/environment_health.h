#pragma once

#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/env/vector_environment.h"
#include "common/metrics/registry.h"

namespace tandem::actor {

/// Whether the environments of an actor run: counts and logs each failure, and calls the actor
/// unhealthy after too many of them in too short a time, until a step in which all environments
/// run. The failures before that are forgotten then. Not thread-safe.
class EnvironmentHealth {
 public:
  struct Options {
    int max_failures = 5;                               ///< So many ...
    absl::Duration failure_window = absl::Minutes(10);  ///< ... within this time are too many.
  };

  /// The references outlive this.
  EnvironmentHealth(const Options& options, Clock& clock, metrics::Registry& registry);

  /// Told of every change from now on; null: nobody is.
  void OnChange(std::function<void(bool healthy)> listener) { listener_ = std::move(listener); }

  /// Takes the faults of `env`. Call after each of its Step and ResetAll.
  void Note(VectorEnvironment& env);

  bool healthy() const { return healthy_; }

 private:
  void NoteFault(const VectorEnvironment& env, const EnvironmentFault& fault);
  void Change(bool healthy);

  const Options options_;
  Clock& clock_;
  std::map<FaultKind, metrics::Counter*> faults_;
  metrics::Gauge& healthy_gauge_;
  std::function<void(bool)> listener_;
  std::deque<absl::Duration> failures_;  // when, the last max_failures of them
  bool healthy_ = true;
};

}  // namespace tandem::actor
