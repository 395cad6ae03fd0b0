#include "common/metrics/registry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/metrics/impl.h"

namespace tandem::metrics {
namespace {

constexpr char kNonFinite[] = "tandem_nonfinite_observations_total";

/// Counts what was dropped, and names the metric in the log the first time.
class Guard {
 public:
  Guard(std::string name, prometheus::Counter* rejected)
      : name_(std::move(name)), rejected_(rejected) {}

  void Reject(double value) {
    rejected_->Increment();
    if (!told_.exchange(true)) {
      LogWarning(absl::StrCat("metric ", name_, " was given ", value, "; such values are dropped"));
    }
  }

 private:
  const std::string name_;
  prometheus::Counter* const rejected_;
  std::atomic<bool> told_{false};
};

class GuardedCounter : public Counter {
 public:
  GuardedCounter(prometheus::Counter& counter, std::string name, prometheus::Counter* rejected)
      : counter_(counter), guard_(std::move(name), rejected) {}
  void Increment(double by) override {
    if (std::isfinite(by) && by >= 0) {
      counter_.Increment(by);
    } else {
      guard_.Reject(by);
    }
  }

 private:
  prometheus::Counter& counter_;
  Guard guard_;
};

class GuardedGauge : public Gauge {
 public:
  GuardedGauge(prometheus::Gauge& gauge, std::string name, prometheus::Counter* rejected)
      : gauge_(gauge), guard_(std::move(name), rejected) {
    gauge_.Set(std::numeric_limits<double>::quiet_NaN());
  }
  void Set(double value) override {
    if (std::isinf(value)) {
      guard_.Reject(value);
      value = std::numeric_limits<double>::quiet_NaN();
    }
    gauge_.Set(value);
  }

 private:
  prometheus::Gauge& gauge_;
  Guard guard_;
};

class GuardedHistogram : public Histogram {
 public:
  GuardedHistogram(prometheus::Histogram& histogram, std::string name,
                   prometheus::Counter* rejected)
      : histogram_(histogram), guard_(std::move(name), rejected) {}
  void Observe(double value) override {
    if (std::isfinite(value) && value >= 0) {
      histogram_.Observe(value);
    } else {
      guard_.Reject(value);
    }
  }

 private:
  prometheus::Histogram& histogram_;
  Guard guard_;
};

/// Makes the metric, or returns the one that has the same name and labels.
template <typename Guarded, typename Map, typename Make>
auto& FindOrMake(Map& map, const std::string& name, const Labels& labels,
                 prometheus::Counter* rejected, Make make) {
  auto& slot = map[{name, labels}];
  if (slot == nullptr) slot = std::make_unique<Guarded>(make(), name, rejected);
  return *slot;
}

}  // namespace

std::vector<prometheus::MetricFamily> Registry::Impl::Source::Collect() const {
  std::vector<prometheus::MetricFamily> families = registry.Collect();
  for (auto& family : CollectProcessMetrics()) families.push_back(std::move(family));
  std::sort(families.begin(), families.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return families;
}

void Registry::Impl::CheckName(const std::string& name, const Labels& labels, Kind kind) {
  // Prometheus' own library takes "le" as a label and then writes a page that nobody can read.
  TANDEM_CHECK(labels.count("le") == 0);
  const auto [at, inserted] = kinds.emplace(name, kind);
  if (!inserted && at->second != kind) {
    LogError(absl::StrCat("metric ", name, " is made as two kinds"));
    TANDEM_CHECK(at->second == kind);
  }
}

Registry::Registry() : impl_(std::make_unique<Impl>()) {
  impl_->nonfinite =
      &prometheus::BuildCounter()
           .Name(kNonFinite)
           .Help(
               "Values dropped because they were not finite, or negative where that has no sense.")
           .Register(impl_->source->registry)
           .Add({});
  MutexLock lock(impl_->mu);
  impl_->kinds[kNonFinite] = Impl::Kind::kCounter;
  impl_->kinds["tandem_build_info"] = Impl::Kind::kGauge;
  prometheus::BuildGauge()
      .Name("tandem_build_info")
      .Help("Always 1; the labels tell what was built.")
      .Register(impl_->source->registry)
      .Add({{"version", TANDEM_VERSION}, {"compiler", __VERSION__}})
      .Set(1);
}

Registry::~Registry() = default;

Counter& Registry::AddCounter(const std::string& name, const std::string& help,
                              const Labels& labels) {
  MutexLock lock(impl_->mu);
  impl_->CheckName(name, labels, Impl::Kind::kCounter);
  return FindOrMake<GuardedCounter>(
      impl_->counters, name, labels, impl_->nonfinite, [&]() -> prometheus::Counter& {
        auto& family =
            prometheus::BuildCounter().Name(name).Help(help).Register(impl_->source->registry);
        return family.Add(labels);
      });
}

Gauge& Registry::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  MutexLock lock(impl_->mu);
  impl_->CheckName(name, labels, Impl::Kind::kGauge);
  return FindOrMake<GuardedGauge>(
      impl_->gauges, name, labels, impl_->nonfinite, [&]() -> prometheus::Gauge& {
        auto& family =
            prometheus::BuildGauge().Name(name).Help(help).Register(impl_->source->registry);
        return family.Add(labels);
      });
}

Histogram& Registry::AddHistogram(const std::string& name, const std::string& help,
                                  const std::vector<double>& buckets, const Labels& labels) {
  TANDEM_CHECK(std::is_sorted(buckets.begin(), buckets.end()));
  MutexLock lock(impl_->mu);
  impl_->CheckName(name, labels, Impl::Kind::kHistogram);
  return FindOrMake<GuardedHistogram>(
      impl_->histograms, name, labels, impl_->nonfinite, [&]() -> prometheus::Histogram& {
        auto& family =
            prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->source->registry);
        return family.Add(labels, buckets);
      });
}

std::map<std::string, std::string> Registry::Families() const {
  std::map<std::string, std::string> families;
  for (const auto& family : impl_->source->Collect()) families[family.name] = family.help;
  return families;
}

std::string Registry::Page() const {
  return prometheus::TextSerializer().Serialize(impl_->source->Collect());
}

std::vector<double> LatencyBuckets() {
  return {1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2,
          5e-2, 0.1,    0.25, 0.5,  1,      2.5,  5,    10};
}

}  // namespace tandem::metrics
