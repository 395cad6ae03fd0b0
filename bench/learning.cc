// What the learning core costs on this machine, as multiples of what its matrix products alone
// would take.
//
//   bench_learning [--runs N] [--case NAME] [--json]
//
// All figures are CPU time of one thread. The limit of a case is its floating-point operations
// divided by the median rate of a 1024^3 float32 matrix product (LibTorch's), measured in the same
// run. For policy_act_* the limit is a fixed budget instead: one row is bound by reading the
// weights, not by arithmetic. The ratio is time over limit: 1 is a case that costs its matrix
// products alone, lower is better. The cases *_autograd are the reference behind the same
// interfaces, on the CPU too.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/rng.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/dynamics/imagination.h"
#include "common/nn/device.h"
#include "common/nn/flat_actor_critic.h"
#include "common/nn/flat_ensemble.h"
#include "common/nn/matmul.h"
#include "common/policy/sac_learner.h"

namespace tandem {
namespace {

double ThreadSeconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Stops the program where a computation fails: a benchmark of a failure means nothing.
void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << "bench_learning: " << status.ToString() << "\n";
  std::exit(1);
}

template <typename T>
T Value(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

std::vector<float> Normals(int64_t size, uint64_t seed) {
  std::vector<float> out(size);
  Rng(seed).FillNormal(out);
  return out;
}

struct Sample {
  double median = 0;
  double spread = 0;  ///< (third quartile - first quartile) / median
};

Sample Summarise(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  return {median, (times[times.size() * 3 / 4] - times[times.size() / 4]) / median};
}

/// Seconds of a call of `work`, over `runs` runs of `repeat` calls each.
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

/// FLOP/s of a 1024^3 matrix product.
double ProductRate(int runs) {
  constexpr int64_t n = 1024;
  const std::vector<float> a = Normals(n * n, 1), b = Normals(n * n, 2);
  std::vector<float> c(n * n);
  const auto product = [&] { nn::MatMul({a.data(), n, n, n}, {b.data(), n, n, n}, c.data(), n); };
  return 2.0 * n * n * n / Measure(2 * runs + 1, 1, product).median;
}

/// Operations of a product of each layer of an MLP for one row.
double MlpFlops(double input, const std::vector<int>& hidden, double output) {
  double flops = 0;
  for (const int width : hidden) {
    flops += 2 * input * width;
    input = width;
  }
  return flops + 2 * input * output;
}

struct Case {
  std::string name;
  std::string unit;
  double scale;   ///< units in a second
  double flops;   ///< of one call; 0 where `budget` is the reference
  double budget;  ///< [unit]
  int repeat;
  std::function<void()> work;
};

constexpr int64_t kObs = 4, kAct = 1, kBatch = 256;
const std::vector<int> kPolicyHidden = {256, 256};
const std::vector<int> kModelHidden = {200, 200, 200, 200};

EnvironmentSpec Spec() {
  const float inf = std::numeric_limits<float>::infinity();
  return {.name = "bench",
          .observation = {std::vector<float>(kObs, -inf), std::vector<float>(kObs, inf)},
          .action = {std::vector<float>(kAct, -3), std::vector<float>(kAct, 3)}};
}

TransitionBatch RandomTransitions(int64_t rows) {
  TransitionBatch batch;
  batch.obs_dim = kObs;
  batch.action_dim = kAct;
  batch.observations = Normals(rows * kObs, 3);
  batch.next_observations = Normals(rows * kObs, 4);
  batch.actions = Normals(rows * kAct, 5);
  batch.rewards = Normals(rows, 6);
  batch.terminated.assign(rows, 0);
  return batch;
}

/// Four times the policy: forward on both observations, backward by weights and activations. Eleven
/// times a critic: two target critics, two critics and, for the policy, two critics again forward
/// (6); two critics backward by weights and activations (4); the smaller one by activations alone
/// (1).
double SacFlops() {
  const double policy = MlpFlops(kObs, kPolicyHidden, 2 * kAct);
  const double critic = MlpFlops(kObs + kAct, kPolicyHidden, 1);
  return kBatch * (4 * policy + 11 * critic);
}

Case SacUpdate(const std::string& name, std::shared_ptr<nn::ActorCritic> network) {
  auto batch = std::make_shared<TransitionBatch>(RandomTransitions(kBatch));
  auto terminated = std::make_shared<std::vector<float>>(kBatch, 0.0f);
  return {name, "ms", 1e3, SacFlops(), 0, 10, [=] {
            Check(network
                      ->Update({kBatch, batch->observations, batch->actions, batch->rewards,
                                batch->next_observations, *terminated})
                      .status());
          }};
}

const nn::ActorCriticSpec kActorCriticSpec{
    .obs_dim = kObs, .action_dim = kAct, .hidden = kPolicyHidden};

Case SacUpdateExplicit() {
  return SacUpdate("sac_update", nn::MakeExplicitActorCritic(kActorCriticSpec, {}, 1));
}

Case SacUpdateAutograd() {
  return SacUpdate("sac_update_autograd",
                   nn::MakeAutogradActorCritic(kActorCriticSpec, {}, "cpu", 1));
}

constexpr int kMembers = 7;

Case EnsembleUpdate(const std::string& name, std::shared_ptr<nn::GaussianEnsemble> network) {
  auto inputs = std::make_shared<std::vector<float>>(Normals(kMembers * kBatch * (kObs + kAct), 1));
  auto targets = std::make_shared<std::vector<float>>(Normals(kMembers * kBatch * (kObs + 1), 2));
  auto losses = std::make_shared<std::vector<float>>(kMembers);
  const double flops = 3 * kMembers * kBatch * MlpFlops(kObs + kAct, kModelHidden, 2 * (kObs + 1));
  return {name, "ms", 1e3, flops, 0, 4, [=] {
            Check(network->TrainStep({kBatch, *inputs, *targets, {}},
                                     {.lr = 1e-3, .weight_decay = 5e-5}, *losses));
          }};
}

const nn::GaussianEnsembleSpec kEnsembleSpec{
    .members = kMembers, .input_dim = kObs + kAct, .output_dim = kObs + 1, .hidden = kModelHidden};

Case EnsembleUpdateExplicit() {
  return EnsembleUpdate("ensemble_update", nn::MakeExplicitEnsemble(kEnsembleSpec, 1));
}

Case EnsembleUpdateAutograd() {
  return EnsembleUpdate("ensemble_update_autograd",
                        nn::MakeAutogradEnsemble(kEnsembleSpec, "cpu", 1));
}

Case ImaginedSteps() {
  constexpr int64_t kSteps = 100000;
  const EnvironmentSpec spec = Spec();
  dynamics::EnsembleLearnerOptions options;
  options.termination = dynamics::TerminationKind::kNever;
  options.max_gradient_steps = 1;
  auto learner = Value(dynamics::EnsembleLearner::Create(spec, options));
  Check(learner->Fit(RandomTransitions(1000), {}, {}).status());
  auto model =
      std::shared_ptr(Value(dynamics::LoadDynamicsModel(learner->ExportModel(), spec, "cpu")));
  auto policy = std::shared_ptr(Value(policy::SacLearner::Create(spec, {})));
  auto starts = std::make_shared<std::vector<float>>(Normals(kSteps * kObs, 1));
  auto rng = std::make_shared<Rng>(1);
  const double flops = kSteps * (MlpFlops(kObs, kPolicyHidden, 2 * kAct) +
                                 MlpFlops(kObs + kAct, kModelHidden, 2 * (kObs + 1)));
  return {"imagined_step", "us", 1e6 / kSteps, flops, 0, 1, [=] {
            TransitionBatch pool;
            int64_t dropped = 0;
            const auto act = [&](std::span<const float> observations, std::span<float> actions) {
              return policy->Act(observations, rng.get(), actions);
            };
            Check(dynamics::Imagine(*model, act, *starts, {}, *rng, {}, &pool, &dropped));
          }};
}

Case PolicyAct(int64_t rows, double budget) {
  auto policy = std::shared_ptr(Value(policy::SacLearner::Create(Spec(), {})));
  auto observations = std::make_shared<std::vector<float>>(Normals(rows * kObs, 1));
  auto actions = std::make_shared<std::vector<float>>(rows * kAct);
  auto rng = std::make_shared<Rng>(1);
  return {
      absl::StrFormat("policy_act_%drow%s", rows, rows == 1 ? "" : "s"), "us", 1e6, 0, budget, 200,
      [=] { Check(policy->Act(*observations, rng.get(), *actions)); }};
}

void Print(const Case& c, const Sample& sample, double rate, int runs, bool json) {
  const double value = sample.median * c.scale;
  const double reference = c.flops > 0 ? c.flops / rate * c.scale : c.budget;
  const char* what = c.flops > 0 ? "matrix-product limit" : "budget";
  if (json) {
    std::cout << absl::StrFormat(
        R"({"bench": "learning", "case": "%s", "value": %.4g, "unit": "%s", "reference": "%s", )"
        R"("reference_value": %.4g, "ratio": %.3f, "runs": %d, "spread": %.3f})",
        c.name, value, c.unit, what, reference, value / reference, runs, sample.spread);
  } else {
    std::cout << absl::StrFormat("%-25s %10.3f %-3s %10.3f %-3s %8.2f x %8.1f %%  %s", c.name,
                                 value, c.unit, reference, c.unit, value / reference,
                                 100 * sample.spread, what);
  }
  std::cout << std::endl;
}

int Main(int argc, char** argv) {
  int runs = 15;
  bool json = false;
  std::string only;
  CLI::App app("Cost of the learning core against the machine's matrix-product rate");
  app.add_option("--runs", runs, "samples of each case; the median is printed")
      ->check(CLI::Range(1, 1000));
  app.add_option("--case", only, "run this case alone");
  app.add_flag("--json", json, "print one JSON object a line");
  CLI11_PARSE(app, argc, argv);
  Check(nn::ConfigureThreads(1));
  const std::vector<std::function<Case()>> cases = {SacUpdateExplicit,
                                                    SacUpdateAutograd,
                                                    EnsembleUpdateExplicit,
                                                    EnsembleUpdateAutograd,
                                                    ImaginedSteps,
                                                    [] { return PolicyAct(1, 8); },
                                                    [] { return PolicyAct(64, 100); }};
  if (!json) {
    std::cout << absl::StrFormat("%-25s %14s %14s %10s %10s\n", "case", "median", "reference",
                                 "ratio", "spread");
  }
  for (const auto& make : cases) {
    const Case c = make();
    if (!only.empty() && c.name != only) continue;
    const double before = ProductRate(runs);
    const Sample sample = Measure(c.repeat == 1 ? std::max(1, runs / 3) : runs, c.repeat, c.work);
    const double rate = 0.5 * (before + ProductRate(runs));
    Print(c, sample, rate, runs, json);
    if (!json) std::cout << absl::StrFormat("  %.1f GFLOP/s\n", rate * 1e-9);
  }
  return 0;
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) { return tandem::Main(argc, argv); }
