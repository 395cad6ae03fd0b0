#include "bench/maze_run.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/cpu_time.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/data/batch.h"
#include "common/data/rows.h"
#include "common/dynamics/dynamics_model.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/dynamics/imagination.h"
#include "common/env/known_reward.h"
#include "common/env/local_vector_environment.h"
#include "common/env/random_actions.h"
#include "common/objective/transition_classifier.h"
#include "common/policy/sac_learner.h"

namespace tandem::bench {
namespace {

constexpr MazeMethod kMethods[] = {MazeMethod::kMbpo, MazeMethod::kMbpoLog, MazeMethod::kVariance,
                                   MazeMethod::kMnm, MazeMethod::kMnmDual};
constexpr int kEpisodeSteps = 50;
constexpr double kHoldoutShare = 0.1;
constexpr double kNearWall = 2;        // [cells]
constexpr double kSparseShift = 0.01;  // where the reward is 0 outside the goal

/// Adds the CPU time of a scope to a sum.
class Timed {
 public:
  explicit Timed(double* sum) : sum_(sum), begin_(CpuSeconds()) {}
  ~Timed() { *sum_ += CpuSeconds() - begin_; }

 private:
  double* const sum_;
  const double begin_;
};

/// Whether a point is nearer to a wall than `distance`, 0: inside one.
bool NearWall(const MazeLayout& maze, const MazePoint& point, double distance) {
  return std::any_of(maze.walls.begin(), maze.walls.end(), [&](const MazeWall& wall) {
    return wall.high[0] > wall.low[0] && point[0] > wall.low[0] - distance &&
           point[0] < wall.high[0] + distance && point[1] > wall.low[1] - distance &&
           point[1] < wall.high[1] + distance;
  });
}

TransitionBatch Rows(const EnvironmentSpec& spec, int64_t rows) {
  return MakeRows(spec.observation.dim(), spec.action.dim(), rows);
}

/// Imagined steps of one iteration, with their log-ratios.
struct Generation {
  TransitionBatch steps;
  std::vector<float> log_ratios;
};

class MazeRun {
 public:
  MazeRun(const MazeOptions& options, const MazeLayout& maze)
      : options_(options), maze_(maze), rng_(options.seed, "maze_run") {}

  absl::StatusOr<MazeResult> Run() {
    TANDEM_RETURN_IF_ERROR(Prepare());
    TANDEM_RETURN_IF_ERROR(Collect());
    TANDEM_RETURN_IF_ERROR(Fit());
    for (int i = 0; i < options_.iterations; ++i) {
      if (i > 0) TANDEM_RETURN_IF_ERROR(Fit());
      TANDEM_RETURN_IF_ERROR(Imagine());
      if (states_ != nullptr) TANDEM_RETURN_IF_ERROR(FitStates());
      TANDEM_RETURN_IF_ERROR(Relabel());
      TANDEM_RETURN_IF_ERROR(Improve());
      TANDEM_RETURN_IF_ERROR(Judge());
    }
    DescribePool();
    return result_;
  }

 private:
  bool UsesRatio() const {
    return options_.method == MazeMethod::kMnm || options_.method == MazeMethod::kMnmDual;
  }
  uint64_t Seed(const char* stream) const { return StreamSeed(options_.seed, stream); }

  absl::Status Prepare() {
    TANDEM_ASSIGN_OR_RETURN(known_reward_, KnownReward(options_.maze));
    TANDEM_ASSIGN_OR_RETURN(
        evaluation_,
        LocalVectorEnvironment::Create(
            options_.maze, {.num_envs = options_.evaluation_episodes, .seed = Seed("evaluation")}));
    const EnvironmentSpec& spec = evaluation_->spec();
    policy::SacLearnerOptions policy;
    policy.hidden = {64, 64};
    policy.sac = {.lr = 1e-3,
                  .temperature_lr = 0,
                  .initial_temperature = options_.temperature,
                  .tau = 0.01,
                  .discount = options_.discount};
    policy.seed = Seed("policy");
    TANDEM_ASSIGN_OR_RETURN(policy_, policy::SacLearner::Create(spec, policy));
    TANDEM_ASSIGN_OR_RETURN(model_learner_,
                            dynamics::EnsembleLearner::Create(spec, ModelOptions()));
    objective::ClassifierLearnerOptions classifier = options_.classifier;
    classifier.seed = Seed("classifier");
    TANDEM_ASSIGN_OR_RETURN(classifier_learner_,
                            objective::ClassifierLearner::Create(spec, classifier));
    if (UsesRatio() && options_.state_price) {
      objective::StateClassifierOptions states = options_.states;
      states.smoothing = options_.classifier.smoothing;
      states.seed = Seed("states");
      TANDEM_ASSIGN_OR_RETURN(states_,
                              objective::StateClassifier::Create(spec.observation.dim(), states));
    }
    objective::JointRewardOptions reward = options_.reward;
    reward.discount = options_.discount;
    if (maze_.other_reward <= 0) {
      reward.reward_shift = kSparseShift;
      reward.min_reward = kSparseShift;
    }
    reward.kind = options_.method == MazeMethod::kMnmDual ? objective::RatioWeight::kDual
                                                          : objective::RatioWeight::kFixed;
    if (options_.method == MazeMethod::kVariance) reward.weight = options_.variance_penalty;
    TANDEM_ASSIGN_OR_RETURN(objective::JointReward made, objective::JointReward::Create(reward));
    reward_ = made;
    batch_ = Rows(spec, options_.batch_size);
    return objective::Validate(options_.ratio);
  }

  dynamics::EnsembleLearnerOptions ModelOptions() const {
    dynamics::EnsembleLearnerOptions options;
    options.members = options.elites = 1;
    options.hidden = options_.model_hidden;
    options.adam = {.lr = 1e-3};
    options.termination = dynamics::TerminationKind::kNever;
    options.observation_margin = 0;
    options.first_gradient_steps = options_.first_fit_steps;
    options.max_gradient_steps = options_.fit_steps;
    options.patience_steps = std::max(options_.first_fit_steps, options_.fit_steps);
    options.seed = Seed("model");
    return options;
  }

  /// Random actions in the world; the last tenth of the episodes is held out.
  absl::Status Collect() {
    const int episodes = std::max(2, options_.transitions / options_.walk_steps);
    const int held_out = std::max(1, static_cast<int>(kHoldoutShare * episodes));
    TANDEM_ASSIGN_OR_RETURN(
        auto world,
        LocalVectorEnvironment::Create(
            options_.maze, {.num_envs = episodes,
                            .seed = Seed("data"),
                            .environment = {.max_episode_steps = options_.walk_steps}}));
    const int64_t obs = world->spec().observation.dim(), act = world->spec().action.dim();
    for (TransitionBatch* part : {&train_, &holdout_}) *part = Rows(world->spec(), 0);
    for (int t = 0; t < options_.walk_steps; ++t) {
      const std::vector<float> actions = RandomActions(*world, rng_);
      const std::vector<float> before(world->observations().begin(), world->observations().end());
      TANDEM_RETURN_IF_ERROR(world->Step(actions));
      const std::span<const float> after =
          t + 1 < options_.walk_steps ? world->observations() : world->final_observations();
      for (int e = 0; e < episodes; ++e) {
        TransitionBatch& to = e < episodes - held_out ? train_ : holdout_;
        to.observations.insert(to.observations.end(), before.begin() + e * obs,
                               before.begin() + (e + 1) * obs);
        to.next_observations.insert(to.next_observations.end(), after.begin() + e * obs,
                                    after.begin() + (e + 1) * obs);
        to.actions.insert(to.actions.end(), actions.begin() + e * act,
                          actions.begin() + (e + 1) * act);
        to.rewards.push_back(world->results()[e].reward);
        to.terminated.push_back(0);
      }
    }
    return reward_->Observe(train_.rewards);
  }

  /// Fits the model, further than the last time, and the classifier to it.
  absl::Status Fit() {
    {
      const Timed timed(&result_.model_seconds);
      TANDEM_ASSIGN_OR_RETURN(const dynamics::FitReport report,
                              model_learner_->Fit(train_, holdout_, {}));
      result_.model_error = report.holdout_error;
    }
    TANDEM_ASSIGN_OR_RETURN(model_, dynamics::LoadDynamicsModel(model_learner_->ExportModel(),
                                                                evaluation_->spec(), "cpu"));
    if (!UsesRatio()) return absl::OkStatus();
    const Timed timed(&result_.classifier_seconds);
    TANDEM_ASSIGN_OR_RETURN(const objective::ClassifierReport report,
                            classifier_learner_->Fit(train_, holdout_, *model_, {}));
    result_.accuracy = report.accuracy;
    nn::TensorFile file;
    classifier_learner_->Export(&file);
    TANDEM_ASSIGN_OR_RETURN(
        classifier_, objective::TransitionClassifier::Load(file, evaluation_->spec(), "cpu"));
    return absl::OkStatus();
  }

  absl::Status Imagine() {
    if (static_cast<int>(pool_.size()) == options_.generations) pool_.pop_front();
    Generation& made = pool_.emplace_back();
    made.steps = Rows(evaluation_->spec(), 0);
    std::vector<int64_t> rows(options_.rollouts);
    for (int64_t& row : rows) row = static_cast<int64_t>(rng_.Below(train_.size()));
    std::vector<float> starts;
    const int64_t obs = train_.obs_dim;
    GatherRows(train_.observations, obs, rows, &starts);
    int64_t dropped = 0;
    TANDEM_RETURN_IF_ERROR(dynamics::Imagine(
        *model_,
        [&](std::span<const float> observations, std::span<float> actions) {
          return policy_->Act(observations, &rng_, actions);
        },
        starts, {.horizon = options_.horizon}, rng_, {}, &made.steps, &dropped));
    if (dropped > 0) return absl::InternalError("maze: the model's numbers are not finite");
    known_reward_(made.steps.next_observations, obs, made.steps.rewards);
    made.log_ratios.assign(made.steps.size(), 0);
    return absl::OkStatus();
  }

  /// Tells the real states from those of the newest rollouts.
  absl::Status FitStates() {
    const Timed timed(&result_.classifier_seconds);
    return states_->Fit(train_.next_observations, pool_.back().steps.next_observations, rng_, {});
  }

  /// What each row of the pool pays beside its reward, by the newest model and classifier.
  absl::Status Relabel() {
    const Timed timed(&result_.relabel_seconds);
    objective::LogRatioFigures figures;
    for (Generation& g : pool_) {
      if (UsesRatio()) {
        objective::LogRatioEstimator estimator(options_.ratio, *model_, *classifier_, {},
                                               states_.get());
        TANDEM_RETURN_IF_ERROR(estimator.Estimate(g.steps.observations, g.steps.actions,
                                                  g.steps.next_observations, rng_, g.log_ratios,
                                                  &figures));
      } else if (options_.method == MazeMethod::kVariance) {
        TANDEM_RETURN_IF_ERROR(PayVariance(&g));
      }
    }
    result_.state_price = figures.state_price();
    return absl::OkStatus();
  }

  /// Minus the norm of the model's standard deviations, in those of the data, into log_ratios.
  absl::Status PayVariance(Generation* g) {
    dynamics::MemberPrediction prediction;
    TANDEM_RETURN_IF_ERROR(
        model_->Predict(0, g->steps.observations, g->steps.actions, &prediction));
    const int64_t obs = g->steps.obs_dim;
    for (size_t i = 0; i < g->log_ratios.size(); ++i) {
      double squares = 0;
      for (int64_t j = 0; j < obs; ++j) {
        const double std = prediction.next_stds[i * obs + j] / model_->target_stds()[j];
        squares += std * std;
      }
      g->log_ratios[i] = static_cast<float>(-std::sqrt(squares));
    }
    return absl::OkStatus();
  }

  absl::Status Improve() {
    const Timed timed(&result_.update_seconds);
    const int64_t real = std::llround(options_.real_share * options_.batch_size);
    std::vector<float> ratios(options_.batch_size);
    divergence_ = 0;
    for (int update = 0; update < options_.updates; ++update) {
      double divergence = 0;
      for (int64_t i = 0; i < options_.batch_size; ++i) {
        ratios[i] = 0;
        if (i < real) {
          CopyRows(train_, static_cast<int64_t>(rng_.Below(train_.size())), 1, i, &batch_);
          continue;
        }
        const Generation& g = pool_[rng_.Below(pool_.size())];
        const auto row = static_cast<int64_t>(rng_.Below(g.steps.size()));
        CopyRows(g.steps, row, 1, i, &batch_);
        ratios[i] = g.log_ratios[row];
        divergence -= ratios[i] / static_cast<double>(options_.batch_size - real);
      }
      if (options_.method != MazeMethod::kMbpo) reward_->Augment(ratios, batch_.rewards);
      TANDEM_RETURN_IF_ERROR(policy_->Update(batch_).status());
      if (UsesRatio()) reward_->Advance(divergence);
      divergence_ += divergence / options_.updates;
    }
    return absl::OkStatus();
  }

  absl::Status Judge() {
    const int64_t episodes = options_.evaluation_episodes, obs = train_.obs_dim;
    TANDEM_RETURN_IF_ERROR(evaluation_->ResetAll(Seed("judge")));
    std::vector<float> imagined(evaluation_->observations().begin(),
                                evaluation_->observations().end());
    std::vector<float> actions(episodes * train_.action_dim);
    std::vector<float> rewards(episodes);  // in the model
    std::vector<uint8_t> reached(episodes, 0);
    MazeJudgement judgement{.weight = UsesRatio() ? reward_->weight() : 0,
                            .divergence = divergence_};
    const double share = 1.0 / static_cast<double>(episodes * kEpisodeSteps);
    dynamics::ModelStep step;
    result_.path.clear();
    for (int t = 0; t < kEpisodeSteps; ++t) {
      result_.path.push_back(MazePosition(evaluation_->observations()));
      TANDEM_RETURN_IF_ERROR(policy_->Act(evaluation_->observations(), nullptr, actions));
      TANDEM_RETURN_IF_ERROR(evaluation_->Step(actions));
      for (int64_t e = 0; e < episodes; ++e) {
        const bool there = evaluation_->results()[e].reward == maze_.goal_reward;
        reached[e] |= there ? 1 : 0;
        judgement.stay_real += there ? share : 0;
      }
      TANDEM_RETURN_IF_ERROR(policy_->Act(imagined, nullptr, actions));
      TANDEM_RETURN_IF_ERROR(model_->Step(imagined, actions, rng_, &step));
      imagined = step.next_observations;
      known_reward_(imagined, obs, rewards);
      for (const float reward : rewards) {
        judgement.stay_model += reward == maze_.goal_reward ? share : 0;
      }
    }
    judgement.reached = static_cast<double>(std::count(reached.begin(), reached.end(), 1)) /
                        static_cast<double>(episodes);
    result_.iterations.push_back(judgement);
    return absl::OkStatus();
  }

  void DescribePool() {
    enum { kFree, kNear, kEntry, kInside, kKinds };  // the last two are among the first two
    double sums[kKinds] = {}, counts[kKinds] = {};
    for (const Generation& g : pool_) {
      for (size_t i = 0; i < g.log_ratios.size(); ++i) {
        const size_t at = i * g.steps.obs_dim;
        const MazePoint from = MazePosition({g.steps.observations.data() + at, 2});
        const MazePoint to = MazePosition({g.steps.next_observations.data() + at, 2});
        const auto add = [&](int kind) {
          sums[kind] -= g.log_ratios[i];
          counts[kind] += 1;
        };
        add(NearWall(maze_, from, kNearWall) ? kNear : kFree);
        const bool inside = NearWall(maze_, from, 0);
        if (inside || NearWall(maze_, to, 0)) add(inside ? kInside : kEntry);
      }
    }
    const auto mean = [&](int kind) { return counts[kind] > 0 ? sums[kind] / counts[kind] : 0; };
    const double rows = counts[kFree] + counts[kNear];
    result_.divergence = (sums[kFree] + sums[kNear]) / rows;
    result_.free_divergence = mean(kFree);
    result_.wall_divergence = mean(kNear);
    result_.entry_divergence = mean(kEntry);
    result_.entry_share = counts[kEntry] / rows;
    result_.inside_divergence = mean(kInside);
    result_.inside_share = counts[kInside] / rows;
  }

  const MazeOptions options_;
  const MazeLayout& maze_;
  Rng rng_;
  RewardFunction known_reward_ = nullptr;  // given: what is learned is the dynamics
  std::unique_ptr<VectorEnvironment> evaluation_;
  std::unique_ptr<policy::SacLearner> policy_;
  std::unique_ptr<objective::ClassifierLearner> classifier_learner_;
  std::unique_ptr<objective::TransitionClassifier> classifier_;
  std::unique_ptr<objective::StateClassifier> states_;  // null: states cost nothing
  std::optional<objective::JointReward> reward_;
  std::unique_ptr<dynamics::EnsembleLearner> model_learner_;
  std::unique_ptr<dynamics::DynamicsModel> model_;
  TransitionBatch train_, holdout_, batch_;
  std::deque<Generation> pool_;
  double divergence_ = 0;  // of the batches of this iteration
  MazeResult result_;
};

}  // namespace

const char* Name(MazeMethod method) {
  switch (method) {
    case MazeMethod::kMbpo:
      return "mbpo";
    case MazeMethod::kMbpoLog:
      return "mbpo_log";
    case MazeMethod::kVariance:
      return "variance";
    case MazeMethod::kMnm:
      return "mnm";
    case MazeMethod::kMnmDual:
      break;
  }
  return "mnm_dual";
}

absl::StatusOr<MazeMethod> ParseMazeMethod(const std::string& name) {
  for (const MazeMethod method : kMethods) {
    if (name == Name(method)) return method;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "method: expected mbpo, mbpo_log, variance, mnm or mnm_dual, got \"", name, "\""));
}

absl::StatusOr<MazeResult> RunMaze(const MazeOptions& options) {
  const MazeLayout* maze = FindMaze(options.maze);
  if (maze == nullptr) return absl::NotFoundError(absl::StrCat("no maze \"", options.maze, "\""));
  const double begin = CpuSeconds();
  TANDEM_ASSIGN_OR_RETURN(MazeResult result, MazeRun(options, *maze).Run());
  result.cpu_seconds = CpuSeconds() - begin;
  return result;
}

}  // namespace tandem::bench
