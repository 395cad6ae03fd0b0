// The tabular experiments of the MnM paper (arXiv 2110.02758, figures 2 and 3), against the figures
// of its authors' notebook.
//
//   bench_mnm_gridworld [--seeds N] [--every N] [--json] [--curves FILE]
//
// A step is counted from 1: step n is the n-th action. Everything is exact dynamic programming but
// the cases stochastic_*, which learn from samples: seeds 0 to N - 1, whose spread is (third
// quartile
// - first quartile) / median. --curves keeps what bench/mnm_gridworld.py draws.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/mnm_experiments.h"

namespace tandem::bench {
namespace {

using Json = nlohmann::ordered_json;
using objective::Method;

constexpr std::array kMethods = {Method::kQLearning, Method::kMnm, Method::kVmbpo};
constexpr double kSolved = 0.5;  // of the return at the start
constexpr int kGoodIteration = 800;
constexpr int kOftenEnough = 10;  // [iterations] between looks that miss no seed of MnM
constexpr int kRandomProblems = 200;
constexpr double kRounding = 1e-9;  // [nats]
// Where references come from. The notebook keeps one seed of the stochastic case.
constexpr char kNotebook[] = "authors' notebook";
constexpr char kTenSeeds[] = "notebook's algorithm, 10 other seeds";
constexpr char kNoReference[] = "none";

struct Case {
  std::string name;
  std::optional<double> value;  // none: never
  std::string unit;
  std::optional<double> reference;
  std::string source = kNotebook;  // of the reference
  int runs = 1;
  double spread = 0;
};

struct Report {
  std::vector<Case> cases;
  Json curves;
};

std::optional<double> AsDouble(std::optional<int> value) {
  return value ? std::optional<double>(*value) : std::nullopt;
}

Json Cells(const std::vector<Cell>& cells) {
  Json out = Json::array();
  for (const auto& cell : cells) out.push_back({cell.row, cell.column});
  return out;
}

Json GridOf(const Gridworld& grid) {
  return {{"size", grid.size},
          {"wall", {grid.wall_rows, grid.wall_first_column, grid.wall_last_column}},
          {"start", {grid.start.row, grid.start.column}},
          {"goal", {grid.goal.row, grid.goal.column}}};
}

void AddDetour(Report* report) {
  const std::vector<std::pair<std::string, std::optional<double>>> published = {
      {"exact_steps", 27},
      {"aliased_with_classifier_steps", 29},
      {"aliased_without_classifier_steps", std::nullopt}};
  for (const auto& [name, reference] : published) {
    const Detour detour = RunDetour(name != "exact_steps", name.find("without") == name.npos, 0);
    report->cases.push_back({name, AsDouble(detour.goal_step), "steps", reference});
    report->curves["detour"]["grid"] = GridOf(detour.grid);
    report->curves["detour"]["block"] = detour.block;
    report->curves["detour"]["paths"][name] = Cells(detour.path);
  }
}

void AddLine(Report* report) {
  const std::map<Method, double> published = {
      {Method::kQLearning, 451.0}, {Method::kMnm, 451.0}, {Method::kVmbpo, 320.4}};
  for (const Method method : kMethods) {
    const std::string name = MethodName(method);
    const double value = RunLine(method);
    report->cases.push_back({"line_" + name, value, "return", published.at(method)});
    report->curves["line"][name] = value;
  }
}

void AddBound(Report* report) {
  const std::vector<BoundPoint> points = RunBound();
  const BoundPoint& last = points.back();
  const double iterations = static_cast<double>(points.size()) - 1;
  report->cases.insert(report->cases.end(),
                       {{"bound_log_return", last.log_return, "nats", 2.4195},
                        {"bound_lower", last.lower, "nats", 2.3404},
                        {"bound_lower_discounted", last.lower_discounted, "nats", 2.3412},
                        {"bound_tight", last.tight, "nats", 2.3647},
                        {"bound_log_model_return", last.log_model_return, "nats", 2.4667},
                        {"bound_log_vmbpo", last.log_vmbpo, "nats", 2.4660},
                        {"bound_iterations", iterations, "iterations", 19}});
  const RandomBounds random = RunRandomBounds(kRandomProblems, 0);
  int violations = random.violations;
  for (const BoundPoint& point : points) {
    const double bound = std::max({point.lower, point.lower_discounted, point.tight});
    violations += bound > point.log_return + kRounding;
    report->curves["bound"].push_back({{"log_return", point.log_return},
                                       {"lower", point.lower},
                                       {"tight", point.tight},
                                       {"log_model_return", point.log_model_return},
                                       {"log_vmbpo", point.log_vmbpo}});
  }
  report->cases.push_back({"bound_violations", violations, "problems", 0, "theorem",
                           kRandomProblems + static_cast<int>(iterations) + 1});
  report->cases.push_back({"bound_random_gap", random.mean_gap, "nats, mean", std::nullopt,
                           kNoReference, kRandomProblems});
  report->cases.push_back({"bound_random_gap_discounted", random.mean_gap_discounted, "nats, mean",
                           std::nullopt, kNoReference, kRandomProblems});
  report->cases.push_back({"bound_random_gap_tight", random.mean_gap_tight, "nats, mean",
                           std::nullopt, kNoReference, kRandomProblems});
}

void AddOptimism(Report* report) {
  const Optimism optimism = RunOptimism();
  const std::vector<double>& changes = optimism.result.changes;
  report->cases.insert(
      report->cases.end(),
      {{"optimism_iterations", static_cast<double>(changes.size()) - 1, "iterations", 23},
       {"optimism_change_0", changes.at(0), "probability", .8573},
       {"optimism_change_10", changes.at(10), "probability", 2.68e-3},
       {"optimism_change_20", changes.at(20), "probability", 4.24e-6},
       {"optimism_entropy_real", optimism.entropy_real, "nats, mean", 1.056},
       {"optimism_entropy_model", optimism.entropy_model, "nats, mean", .868}});
  Json& curves = report->curves["optimism"];
  curves["grid"] = GridOf(optimism.grid);
  for (const int state : optimism.grid.FreeStates()) {
    const Cell cell = optimism.grid.CellOf(state);
    for (int action = 0; action < optimism.grid.actions; ++action) {
      const Cell to = optimism.grid.Move(cell, action);
      if (optimism.grid.State(to) == state) continue;
      const double p = optimism.result.model.Probability(state, action, optimism.grid.State(to));
      curves["arrows"].push_back({cell.row, cell.column, to.row, to.column, p});
    }
  }
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(q * values.size()))];
}

/// The first evaluated iteration with a return above kSolved; infinity: never.
double FirstSolved(const std::vector<double>& returns, int every) {
  for (size_t i = 0; i < returns.size(); ++i) {
    if (returns[i] > kSolved) return static_cast<double>(i) * every;
  }
  return std::numeric_limits<double>::infinity();
}

/// Every `step`-th of them.
std::vector<double> Thinned(const std::vector<double>& returns, int step) {
  std::vector<double> kept;
  for (size_t i = 0; i < returns.size(); i += step) kept.push_back(returns[i]);
  return kept;
}

/// Looks more often than `every` for one case: policies come and go until iteration 1000 or so.
void AddStochastic(int seeds, int every, Report* report) {
  struct Published {
    double solved, mean_return;  // share of seeds; at the last iteration
    std::optional<double> by_good_iteration;
  };
  const std::map<Method, Published> published = {{Method::kQLearning, {.7, .75, {}}},
                                                 {Method::kMnm, {1, 1.36, 1}},
                                                 {Method::kVmbpo, {.5, .35, {}}}};
  report->cases.push_back({"stochastic_optimum", StochasticOptimum(), "return", 1.3875});
  const int fine = std::gcd(every, kOftenEnough);
  for (const Method method : kMethods) {
    std::vector<double> first;
    double in_time = 0, reached = 0, solved = 0, mean_return = 0;
    const std::string name = std::string("stochastic_") + MethodName(method);
    for (int seed = 0; seed < seeds; ++seed) {
      const std::vector<double> often = RunStochastic(method, seed, fine);
      const std::vector<double> returns = Thinned(often, every / fine);
      reached += FirstSolved(often, fine) <= kGoodIteration ? 1.0 / seeds : 0;
      first.push_back(FirstSolved(returns, every));
      in_time += first.back() <= kGoodIteration ? 1.0 / seeds : 0;
      solved += std::isfinite(first.back()) ? 1.0 / seeds : 0;
      mean_return += returns.back() / seeds;
      report->curves["stochastic"]["returns"][MethodName(method)].push_back(returns);
    }
    const double median = Quantile(first, .5);
    const bool known = std::isfinite(Quantile(first, .75));
    const double spread = known ? (Quantile(first, .75) - Quantile(first, .25)) / median : 0;
    const Published& reference = published.at(method);
    report->cases.insert(
        report->cases.end(),
        {{name + "_first_iteration",
          std::isfinite(median) ? std::optional<double>(median) : std::nullopt, "iterations",
          std::nullopt, kNoReference, seeds, spread},
         {name + "_solved_by_800", in_time, "share of seeds", reference.by_good_iteration,
          reference.by_good_iteration ? kTenSeeds : kNoReference, seeds},
         {absl::StrFormat("%s_by_800_each_%d", name, fine), reached, "share of seeds", std::nullopt,
          kNoReference, seeds},
         {name + "_solved", solved, "share of seeds", reference.solved, kTenSeeds, seeds},
         {name + "_return_1500", mean_return, "return, mean", reference.mean_return, kTenSeeds,
          seeds}});
  }
  report->curves["stochastic"]["every"] = every;
}

Json OrNull(std::optional<double> value) {
  return value ? Json(std::stod(absl::StrFormat("%.6g", *value))) : Json();
}

void PrintJson(const Case& c) {
  const bool has_ratio = c.value && c.reference && *c.reference != 0;
  const std::optional<double> ratio =
      has_ratio ? std::optional<double>(*c.value / *c.reference) : std::nullopt;
  std::cout << Json{{"bench", "mnm_gridworld"},  {"case", c.name},
                    {"value", OrNull(c.value)},  {"unit", c.unit},
                    {"reference", c.source},     {"reference_value", OrNull(c.reference)},
                    {"ratio", OrNull(ratio)},    {"runs", c.runs},
                    {"spread", OrNull(c.spread)}}
                   .dump()
            << "\n";
}

void PrintRow(const Case& c) {
  const auto text = [](std::optional<double> value) {
    return value ? absl::StrFormat("%.6g", *value) : std::string("never");
  };
  std::cout << absl::StrFormat("%-37s %11s %11s  %s", c.name, text(c.value),
                               c.source == kNoReference ? "" : text(c.reference), c.unit);
  if (c.spread > 0) std::cout << absl::StrFormat(", spread %.1f %%", 100 * c.spread);
  std::cout << "\n";
}

int Main(int argc, char** argv) {
  int seeds = 10, every = kStochasticEvery;
  bool json = false;
  std::string curves;
  CLI::App app("The tabular experiments of the MnM paper, against its authors' notebook");
  app.add_option("--seeds", seeds, "seeds of the cases stochastic_*; 0.13 s for each and method")
      ->check(CLI::Range(1, 10000));
  app.add_option("--every", every,
                 "iterations between two looks at the cases stochastic_*; divides 1500")
      ->check(CLI::Range(1, 1500));
  app.add_flag("--json", json, "print one JSON object a line; null: never, or not known");
  app.add_option("--curves", curves, "file for the curves, as JSON");
  CLI11_PARSE(app, argc, argv);
  if (1500 % every != 0) {
    std::cerr << "--every: expected a divisor of 1500, got " << every << "\n";
    return 1;
  }
  Report report;
  AddDetour(&report);
  AddLine(&report);
  AddBound(&report);
  AddOptimism(&report);
  AddStochastic(seeds, every, &report);
  if (!json)
    std::cout << absl::StrFormat("%-37s %11s %11s  %s\n", "case", "value", "reference", "unit");
  for (const Case& c : report.cases) json ? PrintJson(c) : PrintRow(c);
  if (curves.empty()) return 0;
  std::ofstream file(curves);
  file << report.curves.dump() << "\n";
  file.close();
  if (!file) std::cerr << "bench_mnm_gridworld: cannot write " << curves << "\n";
  return file ? 0 : 1;
}

}  // namespace
}  // namespace tandem::bench

int main(int argc, char** argv) { return tandem::bench::Main(argc, argv); }
