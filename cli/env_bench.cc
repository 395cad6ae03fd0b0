#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/env_commands.h"
#include "common/base/clock.h"
#include "common/base/cpu_time.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/env/random_actions.h"

namespace tandem::cli {
namespace {

constexpr int kBatches = 64;  // of random actions, drawn beforehand and used again and again
constexpr int kWarmup = 10;

struct Figures {
  int64_t steps = 0;
  int64_t faults = 0;
  double seconds = 0;
  double cpu_seconds = 0;       // of this process
  std::vector<double> batches;  // [s]
};

std::vector<std::vector<float>> ActionBatches(const VectorEnvironment& env) {
  Rng rng(0, "actions");
  std::vector<std::vector<float>> batches(kBatches);
  for (std::vector<float>& batch : batches) batch = RandomActions(env, rng);
  return batches;
}

absl::StatusOr<Figures> Measure(VectorEnvironment& env, double seconds) {
  const std::vector<std::vector<float>> actions = ActionBatches(env);
  for (int i = 0; i < kWarmup; ++i) TANDEM_RETURN_IF_ERROR(env.Step(actions[i % kBatches]));
  Figures figures;
  Clock& clock = *Clock::Real();
  const absl::Duration begin = clock.Monotonic();
  const double cpu_begin = CpuSeconds();
  absl::Duration now = begin;
  for (size_t batch = 0; now - begin < absl::Seconds(seconds); ++batch) {
    TANDEM_RETURN_IF_ERROR(env.Step(actions[batch % kBatches]));
    const absl::Duration after = clock.Monotonic();
    figures.batches.push_back(absl::ToDoubleSeconds(after - now));
    now = after;
    figures.steps += std::count(env.outcomes().begin(), env.outcomes().end(), Outcome::kStepped);
    figures.faults += static_cast<int64_t>(env.TakeFaults().size());
  }
  figures.seconds = absl::ToDoubleSeconds(now - begin);
  figures.cpu_seconds = CpuSeconds() - cpu_begin;
  std::sort(figures.batches.begin(), figures.batches.end());
  return figures;
}

double Quantile(const std::vector<double>& sorted, double q) {
  return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))];
}

void Print(const EnvBenchOptions& options, const std::string& name, const Figures& figures) {
  const double rate = static_cast<double>(figures.steps) / figures.seconds;
  const double p50 = 1e3 * Quantile(figures.batches, 0.5);
  const double p99 = 1e3 * Quantile(figures.batches, 0.99);
  if (options.json) {
    std::cout << nlohmann::json({{"source", name},
                                 {"num_envs", options.target.num_envs},
                                 {"threads", options.target.threads},
                                 {"steps", figures.steps},
                                 {"faults", figures.faults},
                                 {"seconds", figures.seconds},
                                 {"steps_per_second", rate},
                                 {"p50_ms", p50},
                                 {"p99_ms", p99},
                                 {"cpu_seconds", figures.cpu_seconds}})
              << std::endl;
    return;
  }
  std::cout << absl::StreamFormat(
      "%s, %d environments: %.0f steps/s; a batch takes %.3f ms (p50), %.3f ms (p99)\n", name,
      options.target.num_envs, rate, p50, p99);
  if (figures.faults > 0) std::cout << figures.faults << " failures meanwhile\n";
}

}  // namespace

int BenchEnvironment(const EnvBenchOptions& options) {
  const absl::StatusOr<EnvironmentSource> source = SourceOf(options.target);
  if (!source.ok()) return Fail(source.status(), kUsage);
  const auto provider = EnvironmentProvider::Create(*source);
  if (!provider.ok()) return Fail(provider.status());
  const auto env = (*provider)->Make(options.target.num_envs, /*seed=*/0);
  if (!env.ok()) return Fail(env.status());
  const absl::StatusOr<Figures> figures = Measure(**env, options.seconds);
  if (!figures.ok()) return Fail(figures.status());
  Print(options, (*env)->spec().name, *figures);
  return kDone;
}

}  // namespace tandem::cli
