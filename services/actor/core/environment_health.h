#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/env/vector_environment.h"
#include "common/metrics/registry.h"

namespace tandem::actor {

/// Whether the environments of an actor run: counts and logs the failures. It is unhealthy after
/// too many of them in too short a time, or where a vector environment has taken no step for too
/// long; until every vector environment has had a step in which all of it ran since its last
/// failure, and the failures of the window are fewer than too many. While it is unhealthy, and once
/// a vector environment has taken no step for a second since a failure, that is the process's
/// trouble "environment" (common/base/trouble.h). Not thread-safe.
class EnvironmentHealth {
 public:
  struct Options {
    int max_failures = 5;                               ///< So many ...
    absl::Duration failure_window = absl::Minutes(10);  ///< ... within this time are too many.
    absl::Duration standstill = absl::Minutes(2);       ///< So long without a step is too long.
  };

  /// The references outlive this.
  EnvironmentHealth(const Options& options, Clock& clock, metrics::Registry& registry);

  /// Told of every change from now on; null: nobody is.
  void OnChange(std::function<void(bool healthy)> listener) { listener_ = std::move(listener); }

  /// What became of `env`, which outlives this, in its last Step or ResetAll, and its faults since
  /// the call before; call after each. The faults of one call are one failure, for a server's death
  /// fails all that it serves at once; the metric counts each. One line of the log tells of a call
  /// with faults, five lines a second at most.
  void Note(const VectorEnvironment& env, std::span<const EnvironmentFault> faults);

  /// `env` is stepped no more, or not until its next turn: what became of it does not count any
  /// longer.
  void Forget(const VectorEnvironment& env) { standings_.erase(&env); }

  bool healthy() const { return healthy_; }

 private:
  /// One vector environment.
  struct Standing {
    bool all_ran = true;                   // in a step since its last failure
    std::optional<absl::Duration> halted;  // when it failed, without a step of any since then
  };

  void Follow(const VectorEnvironment& env, bool failed);
  void NoteFaults(const VectorEnvironment& env, std::span<const EnvironmentFault> faults);
  /// Says what the trouble is now, or that it is over.
  void Tell();
  bool StandsStill(const Standing& standing, absl::Duration how_long) const;
  /// Why it is to be unhealthy now; empty: it is not.
  std::string Complaint();
  bool AllRun() const;
  void Change(bool healthy);

  const Options options_;
  Clock& clock_;
  std::map<FaultKind, metrics::Counter*> faults_;
  metrics::Gauge& healthy_gauge_;
  std::function<void(bool)> listener_;
  std::map<const VectorEnvironment*, Standing> standings_;
  std::deque<absl::Duration> failures_;  // when, those of the window, max_failures at most
  std::string last_failure_;
  std::string short_failure_;  // for people, without a traceback
  std::pair<const VectorEnvironment*, int> last_failed_{nullptr, 0};  // which one it was
  int failures_in_a_row_ = 0;                                         // since all last ran...
  bool several_failed_ = false;                                       // ...not of one alone
  bool told_ = false;                                                 // there is trouble
  std::optional<absl::Duration> logged_;  // when the last line was written
  int unlogged_ = 0;                      // faults since then
  bool healthy_ = true;
};

}  // namespace tandem::actor
