#include "bench/learning_cases.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/measure.h"
#include "common/base/rng.h"
#include "common/data/rows.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/dynamics/imagination.h"
#include "common/env/environment.h"
#include "common/nn/flat_actor_critic.h"
#include "common/nn/flat_ensemble.h"
#include "common/objective/classifier_learner.h"
#include "common/objective/joint_reward.h"
#include "common/objective/log_ratio.h"
#include "common/policy/sac_learner.h"

namespace tandem::bench {
namespace {

constexpr int64_t kObs = 4, kAct = 1;
const std::vector<int> kPolicyHidden = {256, 256};
const std::vector<int> kModelHidden = {200, 200, 200, 200};
constexpr int kBatch = 256;
constexpr int kMembers = 7;

/// Calls that fill about 40 ms at 150 GFLOP/s.
int RepeatFor(double flops) { return std::clamp(static_cast<int>(6e9 / flops), 1, 200); }

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

/// [bytes] of a parameter with Adam's moments, and of reading and writing them.
constexpr double kAdamState = 12, kAdamTraffic = 24;
/// The same of a target, which is set beside its parameter.
constexpr double kTargetState = 4, kTargetTraffic = 8;

/// Weights of an MLP; biases are few.
double MlpWeights(double input, const std::vector<int>& hidden, double output) {
  return MlpFlops(input, hidden, output) / 2;
}

using MakeActorCritic = std::function<std::shared_ptr<nn::ActorCritic>(const nn::ActorCriticSpec&)>;

/// Four times the policy: forward on both observations, backward by weights and activations. Eleven
/// times a critic: two target critics, two critics and, for the policy, two critics again forward
/// (6); two critics backward by weights and activations (4); the smaller one by activations alone
/// (1).
Case SacUpdate(const std::string& name, const MakeActorCritic& make, const std::vector<int>& hidden,
               int batch_size) {
  const auto network = make({.obs_dim = kObs, .action_dim = kAct, .hidden = hidden});
  const double flops =
      batch_size * (4 * MlpFlops(kObs, hidden, 2 * kAct) + 11 * MlpFlops(kObs + kAct, hidden, 1));
  const double critics = 2 * MlpWeights(kObs + kAct, hidden, 1);
  const double all = critics + MlpWeights(kObs, hidden, 2 * kAct);
  auto batch = std::make_shared<TransitionBatch>(RandomTransitions(batch_size));
  auto terminated = std::make_shared<std::vector<float>>(batch_size, 0.0f);
  return {name,
          "ms",
          1e3,
          flops,
          0,
          RepeatFor(flops),
          [=] {
            Check(network
                      ->Update({batch_size, batch->observations, batch->actions, batch->rewards,
                                batch->next_observations, *terminated})
                      .status());
          },
          kAdamState * all + kTargetState * critics,
          kAdamTraffic * all + kTargetTraffic * critics};
}

std::shared_ptr<nn::ActorCritic> Explicit(const nn::ActorCriticSpec& spec) {
  return nn::MakeExplicitActorCritic(spec, {}, 1);
}
std::shared_ptr<nn::ActorCritic> Autograd(const nn::ActorCriticSpec& spec) {
  return nn::MakeAutogradActorCritic(spec, {}, "cpu", 1);
}

nn::GaussianEnsembleSpec EnsembleSpec(int members, const std::vector<int>& hidden) {
  return {.members = members, .input_dim = kObs + kAct, .output_dim = kObs + 1, .hidden = hidden};
}

double EnsembleStepFlops(int members, const std::vector<int>& hidden, int batch_size) {
  return 3.0 * members * batch_size * MlpFlops(kObs + kAct, hidden, 2 * (kObs + 1));
}

Case EnsembleUpdate(const std::string& name, const std::shared_ptr<nn::GaussianEnsemble>& network,
                    int batch_size) {
  const nn::GaussianEnsembleSpec& spec = network->spec();
  const int64_t rows = spec.members * batch_size;
  auto inputs = std::make_shared<std::vector<float>>(Normals(rows * spec.input_dim, 1));
  auto targets = std::make_shared<std::vector<float>>(Normals(rows * spec.output_dim, 2));
  auto losses = std::make_shared<std::vector<float>>(spec.members);
  const double flops = EnsembleStepFlops(spec.members, spec.hidden, batch_size);
  const double weights =
      spec.members * MlpWeights(spec.input_dim, spec.hidden, 2 * spec.output_dim);
  return {name,
          "ms",
          1e3,
          flops,
          0,
          RepeatFor(flops),
          [=] {
            Check(network->TrainStep({batch_size, *inputs, *targets, {}},
                                     {.lr = 1e-3, .weight_decay = 5e-5}, *losses));
          },
          kAdamState * weights,
          kAdamTraffic * weights};
}

/// `rows` steps of InvertedPendulum under random actions.
TransitionBatch RealTransitions(Environment& environment, int64_t rows, Rng& rng) {
  const EnvironmentSpec& spec = environment.spec();
  TransitionBatch out;
  out.obs_dim = spec.observation.dim();
  out.action_dim = spec.action.dim();
  std::vector<float> state(out.obs_dim), next(out.obs_dim), action(out.action_dim);
  Check(environment.Reset(rng.Next(), state));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < out.action_dim; ++j) {
      const double range = spec.action.high[j] - spec.action.low[j];
      action[j] = static_cast<float>(spec.action.low[j] + range * rng.Uniform());
    }
    const StepResult step = Value(environment.Step(action, next));
    out.observations.insert(out.observations.end(), state.begin(), state.end());
    out.actions.insert(out.actions.end(), action.begin(), action.end());
    out.next_observations.insert(out.next_observations.end(), next.begin(), next.end());
    out.rewards.push_back(step.reward);
    out.terminated.push_back(step.terminated ? 1 : 0);
    state.swap(next);
    if (step.terminated || step.truncated) Check(environment.Reset(std::nullopt, state));
  }
  return out;
}

/// A whole fit after 1250 steps, a fifth of them held out: normalisation, batch assembly, gradient
/// steps, holdout scores after each epoch, keeping and restoring the best weights; per gradient
/// step.
Case FitStep() {
  constexpr int kSteps = 100;
  const auto environment = Value(MakeEnvironment("inverted_pendulum"));
  Rng rng(1);
  auto train = std::make_shared<TransitionBatch>(RealTransitions(*environment, 1000, rng));
  auto holdout = std::make_shared<TransitionBatch>(RealTransitions(*environment, 250, rng));
  dynamics::EnsembleLearnerOptions options;
  options.max_gradient_steps = kSteps;
  options.patience_epochs = kSteps;
  options.patience_steps = kSteps;
  auto learner =
      std::shared_ptr(Value(dynamics::EnsembleLearner::Create(environment->spec(), options)));
  const double flops = kSteps * EnsembleStepFlops(kMembers, kModelHidden, kBatch);
  return {"fit_step", "ms", 1e3 / kSteps, flops, 0, 1, [=] {
            const dynamics::FitReport report = Value(learner->Fit(*train, *holdout, {}));
            if (report.gradient_steps != kSteps) Check(absl::InternalError("the fit ended early"));
          }};
}

/// The policy acts, one random elite predicts each row, and all columns are appended to a pool that
/// keeps its memory, as the policy trainer's does; per step.
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
  auto pool = std::make_shared<TransitionBatch>();
  const double flops = kSteps * (MlpFlops(kObs, kPolicyHidden, 2 * kAct) +
                                 MlpFlops(kObs + kAct, kModelHidden, 2 * (kObs + 1)));
  return {"imagined_step", "us", 1e6 / kSteps, flops, 0, 1, [=] {
            ResizeRows(0, pool.get());
            int64_t dropped = 0;
            const auto act = [&](std::span<const float> observations, std::span<float> actions) {
              return policy->Act(observations, rng.get(), actions);
            };
            Check(dynamics::Imagine(*model, act, *starts, {}, *rng, {}, pool.get(), &dropped));
          }};
}

/// A model of the standard size and a classifier that was trained against it, on random rows.
struct JointModel {
  std::shared_ptr<dynamics::DynamicsModel> model;
  std::shared_ptr<objective::ClassifierLearner> learner;
  std::shared_ptr<objective::TransitionClassifier> classifier;
};

JointModel MakeJointModel(const TransitionBatch& rows, int classifier_steps) {
  const EnvironmentSpec spec = Spec();
  dynamics::EnsembleLearnerOptions options;
  options.termination = dynamics::TerminationKind::kNever;
  options.max_gradient_steps = 1;
  auto learner = Value(dynamics::EnsembleLearner::Create(spec, options));
  Check(learner->Fit(rows, {}, {}).status());
  nn::TensorFile snapshot = learner->ExportModel();
  JointModel out;
  out.model = Value(dynamics::LoadDynamicsModel(snapshot, spec, "cpu"));
  out.learner = Value(objective::ClassifierLearner::Create(
      spec, {.first_steps = classifier_steps, .fit_steps = classifier_steps}));
  Check(out.learner->Fit(rows, {}, *out.model, {}).status());
  out.learner->Export(&snapshot);
  out.classifier = Value(objective::TransitionClassifier::Load(snapshot, spec, "cpu"));
  return out;
}

/// An update under the joint objective: that of sac_update, the reward of its batch, and its part
/// of the pool's log-ratios (100,000 imagined rows for 2,500 updates, three samples each). The
/// reference is that of sac_update, so that the ratios of both compare.
Case JointPolicyUpdate() {
  constexpr int kUpdates = 100, kRows = 40 * kUpdates;
  const Case plain = SacUpdate("sac_update", Explicit, kPolicyHidden, kBatch);
  auto pool = std::make_shared<TransitionBatch>(RandomTransitions(kRows));
  auto joint = std::make_shared<JointModel>(MakeJointModel(*pool, 20));
  auto reward = std::make_shared<objective::JointReward>(
      Value(objective::JointReward::Create({.reward_shift = 10})));
  auto rng = std::make_shared<Rng>(1);
  auto ratios = std::make_shared<std::vector<float>>(kRows);
  return {"joint_policy_update", "ms", 1e3 / kUpdates, kUpdates * plain.flops, 0, 1, [=] {
            objective::LogRatioEstimator estimator({}, *joint->model, *joint->classifier);
            Check(estimator.Estimate(pool->observations, pool->actions, pool->next_observations,
                                     *rng, *ratios, nullptr));
            for (int update = 0; update < kUpdates; ++update) {
              std::vector<float> rewards(pool->rewards.begin(), pool->rewards.begin() + kBatch);
              reward->Augment(std::span(*ratios).first(kBatch), rewards);
              plain.work();
            }
          }};
}

/// A step of the classifier: 256 rows, the model's samples for them, forward and backward on both
/// kinds. The reference is that of fit_step; a fit has one and a half such steps for each of the
/// model's.
Case ClassifierStep() {
  constexpr int kSteps = 100;
  auto rows = std::make_shared<TransitionBatch>(RandomTransitions(5000));
  auto joint = std::make_shared<JointModel>(MakeJointModel(*rows, kSteps));
  const double flops = kSteps * EnsembleStepFlops(kMembers, kModelHidden, kBatch);
  return {"classifier_step", "ms", 1e3 / kSteps, flops, 0, 1, [=] {
            Check(joint->learner->Fit(*rows, {}, *joint->model, {}).status());
          }};
}

/// A fit of the model and of the classifier that comes with it, per gradient step of the model, in
/// the proportion of the defaults (max_gradient_steps 200, classifier_steps 300). The reference is
/// that of fit_step: the ratios of both compare.
Case JointFitStep() {
  constexpr int kSteps = 100;
  const Case plain = FitStep();
  auto rows = std::make_shared<TransitionBatch>(RandomTransitions(1000));
  auto joint = std::make_shared<JointModel>(MakeJointModel(*rows, 3 * kSteps / 2));
  return {"joint_fit_step", "ms", 1e3 / kSteps, plain.flops, 0, 1, [=] {
            plain.work();
            Check(joint->learner->Fit(*rows, {}, *joint->model, {}).status());
          }};
}

Case PolicyAct(const std::string& name, int64_t rows, double budget) {
  auto policy = std::shared_ptr(Value(policy::SacLearner::Create(Spec(), {})));
  auto observations = std::make_shared<std::vector<float>>(Normals(rows * kObs, 1));
  auto actions = std::make_shared<std::vector<float>>(rows * kAct);
  auto rng = std::make_shared<Rng>(1);
  return {name,
          "us",
          1e6,
          0,
          budget,
          200,
          [=] { Check(policy->Act(*observations, rng.get(), *actions)); }};
}

NamedCase GrownSac(int width, int batch_size) {
  const std::string name = absl::StrFormat("sac_update/hidden=%d,batch=%d", width, batch_size);
  return {name, [=] { return SacUpdate(name, Explicit, {width, width}, batch_size); }};
}

NamedCase GrownEnsemble(int width, int batch_size, int members) {
  const std::string name =
      absl::StrFormat("ensemble_update/hidden=%d,batch=%d,members=%d", width, batch_size, members);
  return {name, [=] {
            const std::vector<int> hidden(4, width);
            return EnsembleUpdate(name, nn::MakeExplicitEnsemble(EnsembleSpec(members, hidden), 1),
                                  batch_size);
          }};
}

}  // namespace

std::vector<NamedCase> StandardCases() {
  const nn::GaussianEnsembleSpec ensemble = EnsembleSpec(kMembers, kModelHidden);
  return {
      {"sac_update", [] { return SacUpdate("sac_update", Explicit, kPolicyHidden, kBatch); }},
      {"sac_update_autograd",
       [] { return SacUpdate("sac_update_autograd", Autograd, kPolicyHidden, kBatch); }},
      {"ensemble_update",
       [=] {
         return EnsembleUpdate("ensemble_update", nn::MakeExplicitEnsemble(ensemble, 1), kBatch);
       }},
      {"ensemble_update_autograd",
       [=] {
         return EnsembleUpdate("ensemble_update_autograd",
                               nn::MakeAutogradEnsemble(ensemble, "cpu", 1), kBatch);
       }},
      {"fit_step", FitStep},
      {"imagined_step", ImaginedSteps},
      {"joint_policy_update", JointPolicyUpdate},
      {"classifier_step", ClassifierStep},
      {"joint_fit_step", JointFitStep},
      {"policy_act_1row", [] { return PolicyAct("policy_act_1row", 1, 8); }},
      {"policy_act_64rows", [] { return PolicyAct("policy_act_64rows", 64, 100); }},
  };
}

std::vector<NamedCase> GrowthCases() {
  std::vector<NamedCase> cases;
  for (const int width : {128, 256, 512, 1024}) cases.push_back(GrownSac(width, 256));
  for (const int batch : {64, 1024, 4096}) cases.push_back(GrownSac(256, batch));
  for (const auto& [width, batch] : {std::pair{128, 64}, {128, 4096}, {1024, 64}, {1024, 4096}}) {
    cases.push_back(GrownSac(width, batch));
  }
  for (const int width : {128, 200, 256, 512, 1024}) {
    cases.push_back(GrownEnsemble(width, 256, 7));
  }
  for (const int batch : {64, 1024, 4096}) cases.push_back(GrownEnsemble(200, batch, 7));
  for (const int members : {3, 10}) cases.push_back(GrownEnsemble(200, 256, members));
  for (const auto& [width, batch] : {std::pair{128, 64}, {128, 4096}, {1024, 64}, {1024, 4096}}) {
    cases.push_back(GrownEnsemble(width, batch, 3));
  }
  return cases;
}

}  // namespace tandem::bench
