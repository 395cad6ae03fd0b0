// Co-adaptation in a maze from fixed data, under several objectives: bench/maze_run.h.
//
//   bench_mnm_maze [--maze NAME] [--methods LIST] [--seeds N] [--first-seed N] [--json]
//
// Prints one line for each method and seed when it is done, and one for each method at the end: the
// share of seeds that solve the maze and the mean gap between the time in the goal in the model and
// in the world, at the checkpoint. With --json both are objects. What is recorded:
// docs/results/mnm.md.

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bench/maze_run.h"
#include "bench/measure.h"
#include "common/nn/device.h"

namespace tandem::bench {
namespace {

using Json = nlohmann::ordered_json;

Json AsJson(const MazeOptions& options, const MazeResult& result) {
  const MazeJudgement& last = result.iterations.back();
  Json curve = Json::array();
  Json weights = Json::array(), divergences = Json::array();
  for (const MazeJudgement& j : result.iterations) {
    curve.push_back({j.stay_real, j.stay_model});
    weights.push_back(std::round(1000 * j.weight) / 1000);
    divergences.push_back(std::round(1000 * j.divergence) / 1000);
  }
  Json path = Json::array();
  for (const MazePoint& p : result.path) {
    path.push_back({std::round(10 * p[0]) / 10, std::round(10 * p[1]) / 10});
  }
  return {{"bench", "mnm_maze"},
          {"maze", options.maze},
          {"method", Name(options.method)},
          {"seed", options.seed},
          {"iteration", result.iterations.size()},
          {"solved", last.solved()},
          {"stay_real", last.stay_real},
          {"stay_model", last.stay_model},
          {"gap", last.gap()},
          {"weight", last.weight},
          {"divergence", result.divergence},
          {"state_price", result.state_price},
          {"wall_divergence", result.wall_divergence},
          {"free_divergence", result.free_divergence},
          {"entry_divergence", result.entry_divergence},
          {"entry_share", result.entry_share},
          {"inside_divergence", result.inside_divergence},
          {"inside_share", result.inside_share},
          {"accuracy", result.accuracy},
          {"model_error", result.model_error},
          {"cpu_s", result.cpu_seconds},
          {"update_s", result.update_seconds},
          {"relabel_s", result.relabel_seconds},
          {"model_s", result.model_seconds},
          {"classifier_s", result.classifier_seconds},
          {"stay_curve", curve},
          {"weight_curve", weights},
          {"divergence_curve", divergences},
          {"path", path}};
}

void PrintRun(const MazeOptions& options, const MazeResult& result, bool json) {
  if (json) {
    std::cout << AsJson(options, result).dump() << std::endl;
    return;
  }
  const MazeJudgement& last = result.iterations.back();
  std::cout << absl::StrFormat(
                   "%-12s %-9s seed %2d  %-6s  real %.2f  model %.2f  gap %+.2f  weight %.2f  "
                   "divergence wall %.2f free %.2f  %.1f s",
                   options.maze, Name(options.method), options.seed, last.solved() ? "solved" : "-",
                   last.stay_real, last.stay_model, last.gap(), last.weight, result.wall_divergence,
                   result.free_divergence, result.cpu_seconds)
            << std::endl;
}

struct Tally {
  int runs = 0, solved = 0;
  double gap = 0, stay = 0, cpu = 0;
};

void PrintTally(const std::string& maze, const std::string& method, const Tally& t, bool json) {
  const double runs = t.runs;
  if (!json) {
    std::cout << absl::StrFormat(
        "%-12s %-9s solved %d of %d  real %.2f  gap %+.2f  %.1f s a seed\n", maze, method, t.solved,
        t.runs, t.stay / runs, t.gap / runs, t.cpu / runs);
    return;
  }
  for (const auto& [what, value] : {std::pair{"solved", t.solved / runs},
                                    {"gap", t.gap / runs},
                                    {"stay_real", t.stay / runs}}) {
    std::cout << Json{{"bench", "mnm_maze"},
                      {"case", absl::StrFormat("%s/%s/%s", maze, method, what)},
                      {"value", value},
                      {"unit", "share"},
                      {"runs", t.runs}}
                     .dump()
              << "\n";
  }
}

int Main(int argc, char** argv) {
  MazeOptions options;
  std::string methods = "mbpo,mbpo_log,variance,mnm,mnm_dual";
  int seeds = 10, first_seed = 0;
  bool json = false;
  CLI::App app("Co-adaptation in a maze from fixed data, under several objectives");
  app.add_option("--maze", options.maze, "maze, maze_zigzag or maze_sparse");
  app.add_option("--methods", methods, "which, separated by commas");
  app.add_option("--seeds", seeds, "how many");
  app.add_option("--first-seed", first_seed, "the first of them");
  app.add_option("--iterations", options.iterations, "judged after the last one");
  app.add_option("--weight", options.reward.weight, "of the log-ratio; where a dual one begins");
  app.add_option("--target", options.reward.target_divergence, "of the dual weight [nats]");
  app.add_option("--weight-lr", options.reward.weight_lr, "of the dual weight");
  app.add_option("--weight-fall", options.reward.weight_fall,
                 "factor on it where the weight falls");
  app.add_option("--min-weight", options.reward.min_weight, "of the dual weight");
  app.add_option("--max-weight", options.reward.max_weight, "of the dual weight");
  app.add_option("--tolerance", options.ratio.tolerance, "price of a step that is let off [nats]");
  app.add_option("--samples", options.ratio.samples, "logits averaged for an imagined step");
  app.add_option("--smoothing", options.classifier.smoothing, "of the classifier's targets");
  app.add_option("--input-noise", options.classifier.input_noise, "on the classifier's inputs");
  app.add_option("--horizon", options.horizon, "of imagined rollouts [steps]");
  app.add_option("--penalty", options.variance_penalty, "of the method variance");
  app.add_option("--model-steps", options.first_fit_steps, "gradient steps of the first fit");
  app.add_option("--transitions", options.transitions, "of random actions: all the data there is");
  app.add_option("--walk-steps", options.walk_steps, "length of the walks that the data are from");
  app.add_option("--updates", options.updates, "of the policy in an iteration");
  app.add_option("--discount", options.discount, "by the length of the way, see MazeOptions");
  app.add_option("--temperature", options.temperature, "of the policy");
  app.add_option("--lower", options.ratio.lower, "bound of a log-ratio [nats]");
  app.add_option("--upper", options.ratio.upper, "bound of a log-ratio [nats]");
  app.add_option("--real-share", options.real_share, "of real rows in a batch");
  app.add_option("--hidden", options.model_hidden, "layers of the model");
  app.add_flag("--state-price", options.state_price, "states that the world does not reach cost");
  app.add_option("--state-tolerance", options.ratio.state_tolerance,
                 "price of a state that is let off [nats]");
  app.add_option("--state-noise", options.states.input_noise, "on the states it learns from");
  app.add_option("--state-mixture", options.states.mixture, "real states among the imagined");
  app.add_flag("--json", json, "objects, one a line");
  CLI11_PARSE(app, argc, argv);
  Check(nn::ConfigureThreads(1));
  std::map<std::string, Tally> tallies;
  const std::vector<std::string> names = absl::StrSplit(methods, ',');
  for (const std::string& method : names) {
    options.method = Value(ParseMazeMethod(method));
    for (int seed = first_seed; seed < first_seed + seeds; ++seed) {
      options.seed = static_cast<uint64_t>(seed);
      const MazeResult result = Value(RunMaze(options));
      PrintRun(options, result, json);
      const MazeJudgement& last = result.iterations.back();
      Tally& t = tallies[method];
      ++t.runs;
      t.solved += last.solved() ? 1 : 0;
      t.gap += last.gap();
      t.stay += last.stay_real;
      t.cpu += result.cpu_seconds;
    }
  }
  for (const auto& [method, tally] : tallies) PrintTally(options.maze, method, tally, json);
  return 0;
}

}  // namespace
}  // namespace tandem::bench

int main(int argc, char** argv) { return tandem::bench::Main(argc, argv); }
