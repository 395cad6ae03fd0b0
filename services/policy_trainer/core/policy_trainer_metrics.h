#pragma once

#include "common/metrics/registry.h"

namespace tandem::policy_trainer {

/// What a policy trainer tells of itself; docs/metrics.md describes each. Thread-safe, as its parts
/// are.
struct PolicyTrainerMetrics {
  explicit PolicyTrainerMetrics(metrics::Registry& registry);

  metrics::Counter& updates;
  metrics::Counter& failed_updates;
  metrics::Histogram& update_seconds;
  metrics::Gauge& critic_loss;
  metrics::Gauge& actor_loss;
  metrics::Gauge& temperature;
  metrics::Gauge& entropy;
  metrics::Gauge& q_mean;
  metrics::Gauge& target_mean;
  metrics::Gauge& policy_updates;
  metrics::Gauge& real_share;

  metrics::Counter& rollouts;
  metrics::Counter& truncated_rollouts;
  metrics::Counter& imagined_steps;
  metrics::Counter& dropped_rows;
  metrics::Histogram& imagine_seconds;
  metrics::Gauge& horizon;
  metrics::Gauge& pool_rows;
  metrics::Gauge& model_version;
  metrics::Gauge& model_through_index;

  metrics::Histogram& sample_seconds;
  metrics::Histogram& publish_seconds;
  metrics::Counter& waiting_seconds;
  metrics::Counter& model_waiting_seconds;
};

}  // namespace tandem::policy_trainer
