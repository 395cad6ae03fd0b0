#pragma once

#include <prometheus/collectable.h>
#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/metrics/registry.h"

namespace tandem::metrics {

/// What a Registry hides from those who use it: only the sources of this folder see Prometheus'
/// headers.
struct Registry::Impl {
  /// Everything of the page, in the order of its names: the registry and the process metrics.
  class Source : public prometheus::Collectable {
   public:
    std::vector<prometheus::MetricFamily> Collect() const override;
    prometheus::Registry registry;
  };

  enum class Kind { kCounter, kGauge, kHistogram };
  using Key = std::pair<std::string, Labels>;

  /// Held by shared_ptr because Prometheus' exposer takes a weak one.
  std::shared_ptr<Source> source = std::make_shared<Source>();
  prometheus::Counter* nonfinite = nullptr;
  Mutex mu;
  std::map<std::string, Kind> kinds ABSL_GUARDED_BY(mu);
  std::map<Key, std::unique_ptr<Counter>> counters ABSL_GUARDED_BY(mu);
  std::map<Key, std::unique_ptr<Gauge>> gauges ABSL_GUARDED_BY(mu);
  std::map<Key, std::unique_ptr<Histogram>> histograms ABSL_GUARDED_BY(mu);

  /// Stops the process where `name` is already of another kind, or a label has a reserved name.
  void CheckName(const std::string& name, const Labels& labels, Kind kind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
};

/// CPU time, memory and start of this process, under Prometheus' usual names.
std::vector<prometheus::MetricFamily> CollectProcessMetrics();

}  // namespace tandem::metrics
