#include <unistd.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include "common/base/cpu_time.h"
#include "common/metrics/impl.h"

namespace tandem::metrics {
namespace {

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double total_pages = 0, resident_pages = 0;
  if (!(file >> total_pages >> resident_pages)) return std::nan("");
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Boot time from /proc/stat plus the process's start, in ticks after boot, from /proc/self/stat.
double ReadStartTime() {
  std::ifstream self("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(self)), std::istreambuf_iterator<char>());
  // The second field is the program's name in brackets and may hold anything; the third follows the
  // last bracket, and the start is the 22nd.
  const size_t bracket = text.rfind(')');
  if (bracket == std::string::npos) return std::nan("");
  std::istringstream fields(text.substr(bracket + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double ticks = 0;
  if (!(fields >> ticks)) return std::nan("");

  std::ifstream stat("/proc/stat");
  std::string key;
  while (stat >> key) {
    double boot = 0;
    if (key == "btime" && stat >> boot) {
      return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
    std::getline(stat, skipped);
  }
  return std::nan("");
}

prometheus::MetricFamily Family(std::string name, std::string help, prometheus::MetricType type,
                                double value) {
  prometheus::MetricFamily family{std::move(name), std::move(help), type, {}};
  prometheus::ClientMetric metric;
  (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(metric);
  return family;
}

}  // namespace

std::vector<prometheus::MetricFamily> CollectProcessMetrics() {
  static const double start_time = ReadStartTime();
  using prometheus::MetricType;
  return {
      Family("process_cpu_seconds_total", "CPU time used by the process, user and system [s].",
             MetricType::Counter, CpuSeconds()),
      Family("process_resident_memory_bytes", "Memory of the process held in RAM [bytes].",
             MetricType::Gauge, ResidentBytes()),
      Family("process_start_time_seconds", "When the process started [s since 1970].",
             MetricType::Gauge, start_time),
  };
}

}  // namespace tandem::metrics
