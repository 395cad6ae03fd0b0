#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/env/maze.h"
#include "common/objective/classifier_learner.h"
#include "common/objective/joint_reward.h"
#include "common/objective/log_ratio.h"
#include "common/objective/state_classifier.h"

namespace tandem::bench {

/// What the policy is paid in imagination.
enum class MazeMethod {
  kMbpo,      ///< The reward.
  kMbpoLog,   ///< Its logarithm alone: the joint reward without the log-ratio.
  kVariance,  ///< The logarithm, less a multiple of the model's own standard deviation (Yu et al.
              ///< 2020, MOPO).
  kMnm,       ///< The joint reward (1), the log-ratio at a fixed weight.
  kMnmDual,   ///< The same, its weight a multiplier that holds the divergence at a target.
};
const char* Name(MazeMethod method);
absl::StatusOr<MazeMethod> ParseMazeMethod(const std::string& name);

/// An experiment on co-adaptation in a maze (common/env/maze.h) from fixed data: transitions of
/// random actions, a model that is too small to know the wall well, a policy trained in it. With no
/// new data nothing repairs the model where the policy exploits it; only the objective can keep it
/// away from there. Every method has the same data, model, steps of both and checkpoint.
struct MazeOptions {
  std::string maze = "maze";
  MazeMethod method = MazeMethod::kMnm;
  uint64_t seed = 0;
  int iterations = 12;     ///< Judged after the last one.
  int transitions = 8000;  ///< Of random actions, in walks of so many steps from the start, ...
  int walk_steps = 500;    ///< ... long enough to get everywhere.
  std::vector<int> model_hidden = {64, 64};
  int first_fit_steps = 12000;  ///< Gradient steps of the model before the first iteration ...
  int fit_steps = 150;          ///< ... and in each one.
  int rollouts = 1000;          ///< Imagined in an iteration, from real states ...
  int horizon = 3;              ///< ... each of so many steps.
  int generations = 5;          ///< Iterations whose rollouts the pool keeps.
  int updates = 500;            ///< Of the policy in an iteration.
  int batch_size = 256;
  double real_share = 0.05;
  double discount = 0.93;  ///< By the steps of the way to the goal, about 10 here.
  double temperature = 0.01;
  int evaluation_episodes = 4;
  double variance_penalty = 1;  ///< kVariance: per unit of the standardised deviation.
  objective::ClassifierLearnerOptions classifier;
  objective::LogRatioOptions ratio;
  bool state_price = false;  ///< Whether states that the world does not reach cost, too.
  objective::StateClassifierOptions states;
  /// Discount, shift and kind are set by the run.
  objective::JointRewardOptions reward = {.target_divergence = 0.4, .min_weight = 0.05};
};

/// What a policy does, judged without noise in its actions.
struct MazeJudgement {
  double reached = 0;     ///< Share of real episodes that reach the goal.
  double stay_real = 0;   ///< Share of steps that end in the goal, in the world ...
  double stay_model = 0;  ///< ... and in the model.
  double weight = 0;      ///< Of the log-ratio, after the iteration; 0: none is paid.
  double divergence = 0;  ///< Mean -log-ratio of what it drew from the pool [nats].
  bool solved() const { return reached >= 0.5; }
  double gap() const { return stay_model - stay_real; }
};

struct MazeResult {
  std::vector<MazeJudgement> iterations;
  std::vector<MazePoint> path;   ///< Of the last one's first real episode [cells].
  double divergence = 0;         ///< Mean -log-ratio of the pool at the end [nats], ...
  double state_price = 0;        ///< ... of which so much is for the states that steps end in.
  double wall_divergence = 0;    ///< The same over steps that begin within 2 cells of a wall ...
  double free_divergence = 0;    ///< ... and over all others.
  double entry_divergence = 0;   ///< Over steps of the model into a wall, ...
  double entry_share = 0;        ///< ... which are this share of all, ...
  double inside_divergence = 0;  ///< ... and over those that begin inside one, where no data are.
  double inside_share = 0;       ///< Of all steps.
  double accuracy = 0;           ///< Of the classifier on held-out rows.
  double model_error = 0;        ///< Held-out, in standard deviations.
  double cpu_seconds = 0;
  double update_seconds = 0;  ///< Of these: updates of the policy, with drawing and paying batches.
  double relabel_seconds = 0;     ///< Log-ratios of the pool.
  double model_seconds = 0;       ///< Fits of the model.
  double classifier_seconds = 0;  ///< Fits of the classifier.
};

/// One run. Deterministic for a seed. NOT_FOUND for an unknown maze.
absl::StatusOr<MazeResult> RunMaze(const MazeOptions& options);

}  // namespace tandem::bench
