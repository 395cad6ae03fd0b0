// What the learning core costs on this machine, as multiples of what its matrix products alone
// would take.
//
//   bench_learning [--runs N] [--case NAME [--exact]] [--growth] [--json]
//
// All figures are CPU time of one thread. The limit of a case is its floating-point operations
// divided by the median rate of a 1024^3 float32 matrix product (LibTorch's), measured before and
// after the case in the same run. For policy_act_* the limit is a fixed budget instead: one row is
// bound by reading the weights, not by arithmetic. The ratio is time over limit: 1 is a case that
// costs its matrix products alone, lower is better. The cases *_autograd are the reference behind
// the same interfaces, on the CPU too. With --growth each row also has the ratio to a roofline:
// the same limit and, where parameters and Adam's moments do not fit the core's own cache, the time
// to read and write them once.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/learning_cases.h"
#include "bench/measure.h"
#include "common/nn/device.h"

namespace tandem::bench {
namespace {

/// The roofline of a case whose products take `product_limit` seconds: that and the time of its
/// traffic, at the rate of a pass over as much memory, where its state does not fit the core's own
/// cache. A sum, for one thread does one after the other: a parameter's step needs its gradient,
/// which is the last product's.
double Roofline(const Case& c, double product_limit, int runs) {
  if (c.state <= PrivateCache()) return product_limit;
  return product_limit + c.traffic / StreamRate(c.state, runs);
}

Result Run(const Case& c, int runs, bool roofline) {
  const int samples = c.repeat == 1 ? std::max(1, runs / 3) : runs;
  const double before = ProductRate(2 * runs + 1);
  const Sample sample = Measure(samples, c.repeat, c.work);
  const double rate = 0.5 * (before + ProductRate(2 * runs + 1));
  return {.name = c.name,
          .unit = c.unit,
          .value = sample.median * c.scale,
          .reference = c.flops > 0
                           ? absl::StrFormat("matrix-product limit (%.0f GFLOP/s)", rate * 1e-9)
                           : "budget",
          .reference_value = c.flops > 0 ? c.flops / rate * c.scale : c.budget,
          .runs = samples,
          .spread = sample.spread,
          .roofline = roofline ? Roofline(c, c.flops / rate, runs) * c.scale : 0};
}

int Main(int argc, char** argv) {
  int runs = 15;
  bool json = false, growth = false, exact = false;
  std::string only;
  CLI::App app("Cost of the learning core against the machine's matrix-product rate");
  app.add_option("--runs", runs, "samples of each case; the median is printed")
      ->check(CLI::Range(1, 1000));
  app.add_option("--case", only, "run the cases whose name begins so");
  app.add_flag("--exact", exact, "run the one case of just this name");
  app.add_flag("--growth", growth, "the updates at other sizes instead of the main job's");
  app.add_flag("--json", json, "print one JSON object a line");
  CLI11_PARSE(app, argc, argv);
  Check(nn::ConfigureThreads(1));
  if (!json) PrintHeader();
  for (const NamedCase& c : growth ? GrowthCases() : StandardCases()) {
    if (exact ? c.name != only : c.name.rfind(only, 0) != 0) continue;
    Print(Run(c.make(), runs, growth), json);
  }
  return 0;
}

}  // namespace
}  // namespace tandem::bench

int main(int argc, char** argv) { return tandem::bench::Main(argc, argv); }
