#pragma once

#include <array>
#include <map>

#include "absl/status/status.h"
#include "common/clients/replay_client.h"
#include "common/data/batch.h"
#include "common/metrics/registry.h"

namespace tandem {

/// Every metric of the replay buffer's core, made once. Thread-safe; the registry outlives it.
class ReplayMetrics {
 public:
  explicit ReplayMetrics(metrics::Registry& registry);

  /// Counts a refused append by its status code.
  void Rejected(const absl::Status& status);
  metrics::Counter& steps(Split split) { return *steps_[static_cast<size_t>(split)]; }
  metrics::Counter& sampled(SampleKind kind) { return *sampled_[static_cast<size_t>(kind)]; }
  metrics::Counter& wait(Role role) { return *wait_[static_cast<size_t>(role)]; }
  metrics::Counter& episodes(Purpose purpose) { return *episodes_[static_cast<size_t>(purpose)]; }

 private:
  std::array<metrics::Counter*, 4> steps_{};
  std::array<metrics::Counter*, 4> sampled_{};
  std::array<metrics::Counter*, 5> wait_{};
  std::array<metrics::Counter*, 3> episodes_{};
  std::map<absl::StatusCode, metrics::Counter*> rejected_;

 public:
  metrics::Counter& appends;
  metrics::Counter& repeated;
  metrics::Counter& tailed_rows;
  metrics::Counter& evaluations;
  metrics::Gauge& held_steps;
  metrics::Gauge& bytes;
  metrics::Gauge& env_steps;
  metrics::Gauge& writers;
  metrics::Gauge& policy_updates;
  metrics::Gauge& model_env_steps;
  metrics::Gauge& episode_return;
  metrics::Gauge& evaluation_return;
  metrics::Gauge& stopped;
  metrics::Gauge& updates_per_step;
  metrics::Gauge& policy_pause;
  metrics::Counter& monitor_lost;
  metrics::Histogram& append_seconds;
  metrics::Histogram& sample_seconds;
};

}  // namespace tandem
