#include "bench/measure.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "absl/strings/str_format.h"
#include "common/base/rng.h"
#include "common/nn/kernels.h"
#include "common/nn/matmul.h"

namespace tandem::bench {
namespace {

double ThreadSeconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Sample Summarise(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  return {median, (times[times.size() * 3 / 4] - times[times.size() / 4]) / median};
}

}  // namespace

std::vector<float> Normals(int64_t size, uint64_t seed) {
  std::vector<float> out(size);
  Rng(seed).FillNormal(out);
  return out;
}

Sample Measure(int runs, int repeat, const std::function<void()>& work) {
  work();
  std::vector<double> times;
  for (int run = 0; run < runs; ++run) {
    const double begin = ThreadSeconds();
    for (int i = 0; i < repeat; ++i) work();
    times.push_back((ThreadSeconds() - begin) / repeat);
  }
  return Summarise(times);
}

double ProductRate(int runs) {
  constexpr int64_t n = 1024;
  static const std::vector<float> a = Normals(n * n, 1), b = Normals(n * n, 2);
  static std::vector<float> c(n * n);
  const auto product = [&] { nn::MatMul({a.data(), n, n, n}, {b.data(), n, n, n}, c.data(), n); };
  return 2.0 * n * n * n / Measure(runs, 1, product).median;
}

double StreamRate(double footprint, int runs) {
  const int64_t size = nn::PadLanes(static_cast<int64_t>(footprint / 2 / sizeof(float)));
  const nn::AlignedFloats from(size, 1.0f);
  nn::AlignedFloats to(size, 0.0f);
  const auto pass = [&] { nn::Kernels::Get().approach(to.data(), from.data(), size, 0.5f); };
  return 3.0 * sizeof(float) * static_cast<double>(size) / Measure(runs, 1, pass).median;
}

double PrivateCache() {
  const long bytes = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
  return bytes > 0 ? static_cast<double>(bytes) : 1 << 20;
}

double MlpFlops(double input, const std::vector<int>& hidden, double output) {
  double flops = 0;
  for (const int width : hidden) {
    flops += 2 * input * width;
    input = width;
  }
  return flops + 2 * input * output;
}

void PrintHeader() {
  std::cout << absl::StrFormat("%-40s %14s %14s %10s %10s  %s\n", "case", "median", "reference",
                               "ratio", "spread", "reference is [ratio to the roofline]");
}

void Print(const Result& r, bool json) {
  const double ratio = r.value / r.reference_value;
  if (json) {
    std::cout << absl::StrFormat(
        R"({"bench": "learning", "case": "%s", "value": %.4g, "unit": "%s", "reference": "%s", )"
        R"("reference_value": %.4g, "ratio": %.3f, "runs": %d, "spread": %.3f)",
        r.name, r.value, r.unit, r.reference, r.reference_value, ratio, r.runs, r.spread);
    if (r.roofline > 0) {
      std::cout << absl::StrFormat(R"(, "roofline_value": %.4g, "roofline_ratio": %.3f)",
                                   r.roofline, r.value / r.roofline);
    }
    std::cout << "}";
  } else {
    std::cout << absl::StrFormat("%-40s %10.3f %-3s %10.3f %-3s %8.2f x %8.1f %%  %s", r.name,
                                 r.value, r.unit, r.reference_value, r.unit, ratio, 100 * r.spread,
                                 r.reference);
    if (r.roofline > 0) std::cout << absl::StrFormat(" [%.2f x]", r.value / r.roofline);
  }
  std::cout << std::endl;
}

}  // namespace tandem::bench
