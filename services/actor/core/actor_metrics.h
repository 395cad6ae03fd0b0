#pragma once

#include <array>

#include "common/data/batch.h"
#include "common/metrics/registry.h"

namespace tandem::actor {

/// Every metric of the actor, made once. Thread-safe; the registry outlives it.
class ActorMetrics {
 public:
  explicit ActorMetrics(metrics::Registry& registry);

  /// The families split by purpose.
  struct ForPurpose {
    metrics::Counter& env_steps;
    metrics::Counter& episodes;
    metrics::Gauge& episode_return;
  };
  ForPurpose& For(Purpose purpose) { return purpose == Purpose::kTraining ? training : evaluation; }

  ForPurpose training;
  ForPurpose evaluation;
  metrics::Gauge& evaluation_return;
  metrics::Histogram& env_step_seconds;
  metrics::Gauge& policy_updates;
  metrics::Gauge& policy_age_seconds;
  metrics::Counter& policies_refused;
  metrics::Counter& retries;
  metrics::Counter& dropped_steps;
  metrics::Counter& random_actions;
};

}  // namespace tandem::actor
