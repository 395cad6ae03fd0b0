#pragma once

#include "common/metrics/registry.h"

namespace tandem::model_trainer {

/// What a model trainer tells of itself; docs/metrics.md describes each. Thread-safe, as its parts
/// are.
struct ModelTrainerMetrics {
  explicit ModelTrainerMetrics(metrics::Registry& registry);

  metrics::Histogram& fit_seconds;
  metrics::Histogram& fetch_seconds;
  metrics::Counter& fits;
  metrics::Counter& fit_failures;
  metrics::Counter& gradient_steps;
  metrics::Counter& waiting_seconds;
  metrics::Gauge& train_loss;
  metrics::Gauge& holdout_nll;
  metrics::Gauge& holdout_error;
  metrics::Gauge& holdout_reward_error;
  metrics::Gauge& holdout_termination_loss;
  metrics::Gauge& train_rows;
  metrics::Gauge& holdout_rows;
  metrics::Gauge& model_version;
  metrics::Gauge& model_through_index;
};

}  // namespace tandem::model_trainer
