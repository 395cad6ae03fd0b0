#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tandem::metrics {

using Labels = std::map<std::string, std::string>;

/// Only goes up. Thread-safe. Not finite or negative increments are dropped and counted in
/// tandem_nonfinite_observations_total (a NaN would poison the series for good).
class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Increment(double by) = 0;
  void Increment() { Increment(1); }
};

/// Goes up and down; NaN until first set, so that "no data" never looks healthy. NaN may be set and
/// means "no data"; an infinite value becomes NaN and is counted. Thread-safe.
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
};

/// Distribution of non-negative values: a negative one would make the sum fall. Thread-safe; not
/// finite and negative observations are dropped and counted.
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

/// Where a process keeps its metrics, Prometheus behind it. Make each metric once, in a
/// constructor, and keep the reference: it lives as long as the registry. Asking again with the
/// same name and labels gives the same object; the same name with another kind stops the process.
///
/// Names follow Prometheus' conventions: tandem_ prefix, base unit, counters end in _total, ratios
/// in _ratio; docs/metrics.md describes every one, and a test compares the two. Thread-safe.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter& AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  /// buckets: inclusive upper bounds, ascending.
  Histogram& AddHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& buckets, const Labels& labels = {});

  /// Every family's name and help, for the test that compares docs/metrics.md.
  std::map<std::string, std::string> Families() const;

  /// The page in Prometheus' text format.
  std::string Page() const;

  /// For the sources of this folder: keeps Prometheus' headers out of this one.
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Bounds for latencies from 0.1 ms to 10 s.
std::vector<double> LatencyBuckets();

/// Serves the registry at http://address/metrics until destroyed.
class MetricsServer {
 public:
  /// address: "host:port", port 0 for a free one. UNAVAILABLE, naming the address, where it cannot
  /// be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const std::string& address,
                                                              Registry& registry);
  virtual ~MetricsServer() = default;
  /// The address bound, "host:port".
  virtual std::string address() const = 0;
};

}  // namespace tandem::metrics
